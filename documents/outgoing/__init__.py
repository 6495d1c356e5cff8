"""Outgoing events: facts that Matchback sends to the webhook endpoints of an organization."""
