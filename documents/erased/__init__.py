"""Traces of erased people. Matchback uses them to find and redact later data about these people."""
