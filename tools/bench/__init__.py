"""Benchmarks. Each prints a figure that the documentation or a closing comparison quotes."""
