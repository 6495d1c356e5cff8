"""Periodic work of a worker, each job under a lease."""
