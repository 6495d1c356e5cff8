"""Migrations: upgrades of data from earlier versions, while traffic continues."""
