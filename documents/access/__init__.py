"""Who may act: API keys, staff and their sessions, and the audit of what they did."""
