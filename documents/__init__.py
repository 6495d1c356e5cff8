"""Everything that Matchback stores: one file for each noun, one package for each domain.

`counters.py` declares all counters.
"""
