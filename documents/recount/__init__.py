"""Recounting: comparing every counter with the ledger."""
