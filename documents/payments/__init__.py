"""Payments as processors report them, and the resulting gifts. `rules.py` is pure."""
