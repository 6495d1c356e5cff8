"""Generators of reference pages and screenshots, and the code blocks of the documentation."""
