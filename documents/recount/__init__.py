"""Recounts: every counter compared with the ledger."""
