"""The places where wake-ups may wait: Redis, a file of SQLite's, Amazon SQS."""
