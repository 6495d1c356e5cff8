"""Matching: finding the email that led to a gift. `rules.py` has the rules, and is pure."""
