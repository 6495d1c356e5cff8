"""Giving links: the token that names an email, and the recovery of damaged tokens."""
