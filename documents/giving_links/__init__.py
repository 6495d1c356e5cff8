"""Giving links: the token that names an email, and how a damaged one is read."""
