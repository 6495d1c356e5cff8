"""The sender process: outgoing webhooks and mails."""
