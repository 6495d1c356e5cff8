"""schemathesis against the running service."""
