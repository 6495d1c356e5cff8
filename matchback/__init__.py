"""Matchback's Python client: `from matchback.client import Matchback`. Needs httpx and tenacity."""
