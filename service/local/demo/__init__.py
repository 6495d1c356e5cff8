"""The demo: a university and its giving day, simulated through the public HTTP API only."""
