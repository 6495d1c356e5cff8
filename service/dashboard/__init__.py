"""The dashboard: pages for a customer's staff, made here and served by the same service."""
