"""The reporting database: what is exported to it, how, and the engines it can be."""
