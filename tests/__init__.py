"""Tests. `unit` needs no server, `integration` real databases, `system` real processes."""

import tools.testbed  # noqa: F401  (resets the settings before any test reads them)
