"""Scenarios that are killed before and after each database command."""
