"""Settling: matching the due gifts and bringing every counter up to date."""
