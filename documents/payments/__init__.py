"""Payments as processors report them, and the gifts that follow from them. `rules.py` is pure."""
