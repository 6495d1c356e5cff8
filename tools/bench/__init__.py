"""Benchmarks. Each prints a figure that the documentation quotes."""
