"""The dashboard: pages for a customer's staff."""
