"""The content of mails to staff."""
