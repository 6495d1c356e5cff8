"""What applies to every request: credentials, rate limits, the audit, and the access log."""
