"""Privacy: erasure of a person, and retention."""
