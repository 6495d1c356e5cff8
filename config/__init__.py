"""Configuration: settings, the database connection, queues, and observability.

It knows nothing of what Matchback stores.
"""
