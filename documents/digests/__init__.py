"""Digests: periodic mails about a fundraiser, for the staff who choose them."""
