"""The resources: one file a noun."""
