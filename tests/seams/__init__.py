"""Crash points: each job and acknowledging request, killed at first and after each write."""
