"""Matching: which email led to a gift. `rules.py` decides, and is pure."""
