"""Organizations as the operator sees them: list, summary, export and deletion."""
