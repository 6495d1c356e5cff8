"""Shared accounts: one provider account that reports the events of many organizations."""
