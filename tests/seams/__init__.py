"""Crash points: each job and each acknowledging request, killed before and after every command."""
