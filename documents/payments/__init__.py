"""Payments as processors report them, and the gifts that follow. `rules.py` is pure."""
