"""Privacy: erasure of a person, and retention of webhook data."""
