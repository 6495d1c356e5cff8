"""Tests on a real MongoDB and Redis, in the test's own process."""
