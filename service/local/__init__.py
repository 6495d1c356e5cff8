"""`matchback up`: all parts on one machine, for a laptop and for tests."""
