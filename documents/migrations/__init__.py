"""Upgrades: what is stored in the form of an earlier version is brought into today's, online."""
