"""What Matchback stores: one file for each noun, and one package for each domain.

`counters.py` declares everything that is counted.
"""
