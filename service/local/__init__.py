"""`matchback up`: everything on one machine, for a laptop and for the tests."""
