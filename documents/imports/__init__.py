"""Imports of many records in one request or file."""
