"""Everything that applies to every request: credentials, rate limits, and the access log."""
