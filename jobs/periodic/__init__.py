"""Periodic work of a worker. Each job holds a lease, so that one worker runs it at a time."""
