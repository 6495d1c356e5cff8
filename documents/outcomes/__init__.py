"""Outcomes: what participants of experiments gave. `rules.py` has the rules, and is pure."""
