"""Working side by side: batches, retries, leases between processes, and turns of an organization."""
