"""Email providers, with one file each, and the signatures of their webhooks. Pure."""
