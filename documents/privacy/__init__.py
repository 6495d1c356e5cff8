"""Erasure of a person, and retention."""
