"""The dashboard: HTML pages for an organization's staff."""
