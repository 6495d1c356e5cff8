"""Concurrency: batches and retries, leases between processes, and a mutex for each organization."""
