"""`make bench`: Matchback beside the limit of its parts, and beside the naive form of it."""
