"""Giving links: the token that names an email, and the repair of damaged tokens."""
