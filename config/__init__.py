"""Configuration: settings, the database connection, queues and observability.

This package does not depend on the stored records.
"""
