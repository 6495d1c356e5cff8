"""Settings, the one Huey, the database connection, logging. Knows nothing of what is stored."""
