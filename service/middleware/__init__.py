"""The middleware for all requests: authentication, rate limits and the access log."""
