"""Lookup of people: by any spelling of an address, by words, and by duplicates."""
