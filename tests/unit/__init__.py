"""Tests without a server, some on mongomock."""
