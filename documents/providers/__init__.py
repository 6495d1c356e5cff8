"""Email providers: one file each, and how each signs its webhooks. Pure."""
