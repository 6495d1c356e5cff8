"""Tests. `unit` needs no server, `integration` real databases, `system` real processes."""
