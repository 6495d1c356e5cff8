"""Recounts: comparing every counter with the records that it counts."""
