"""Simulated hosts on one machine, each in its own network namespace."""
