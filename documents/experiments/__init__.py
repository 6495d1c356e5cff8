"""Experiments: what a mailing caused. Pure: no database, no clock."""
