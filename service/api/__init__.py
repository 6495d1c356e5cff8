"""The JSON API: the declarations, parsing and responses of its operations."""
