"""A demo university and its giving day, played through the public HTTP API and nothing else."""
