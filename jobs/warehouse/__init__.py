"""Warehouse: the exported tables, the export, and the supported database engines."""
