"""Stripe's events as facts of payments. Pure."""
