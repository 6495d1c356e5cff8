"""Working side by side: batches, retries, leases between processes, turns of an organization."""
