"""Experiments: arms, held-out emails and what recipients gave."""
