"""The JSON API: the declarations, parsing and answers of its operations."""
