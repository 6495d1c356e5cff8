"""Segments: the emails of a mailing to users who share the value of an attribute."""
