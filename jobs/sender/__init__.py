"""The sender: a process that delivers outgoing events to webhook endpoints, and mails to staff."""
