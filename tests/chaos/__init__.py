"""Chaos: everything is killed and paused while clients work; then the counters must be exact."""
