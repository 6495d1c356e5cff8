"""Matching: the email that led to a gift. `rules.py` decides, and is pure."""
