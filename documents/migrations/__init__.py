"""Migrations: online upgrades of data that earlier versions stored."""
