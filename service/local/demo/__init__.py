"""The demo: a university and its giving day, played through the public HTTP API only."""
