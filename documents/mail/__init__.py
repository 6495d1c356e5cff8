"""Mails to staff: the outbox, the renderers that write them, and the SMTP server."""
