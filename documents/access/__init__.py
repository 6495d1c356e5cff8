"""Access: API keys, staff and their sessions, and the audit of their acts."""
