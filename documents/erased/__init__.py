"""Traces of erased people, by which Matchback recognizes and redacts later data about them."""
