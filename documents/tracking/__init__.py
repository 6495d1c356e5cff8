"""Email events, from a stored webhook delivery to exact counters.

`rules.py` judges clicks and is pure.
"""
