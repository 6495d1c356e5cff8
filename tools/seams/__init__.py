"""Crash points: scenarios that are killed before and after each database command."""
