"""The JSON API: what an operation declares, reads, and answers."""
