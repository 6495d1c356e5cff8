"""The pattern as it is mostly built: one job a gift or event, each a plain `$inc`."""
