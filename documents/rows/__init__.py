"""The stored form of each document, as MongoDB's driver returns it.

These modules import no other module of Matchback.
"""
