"""Schemathesis against the running service."""
