"""How figures look to people: tables, charts, files, and wording. Pure."""
