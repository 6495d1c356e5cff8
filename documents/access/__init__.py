"""API keys, staff members and their sessions, and the audit of acts."""
