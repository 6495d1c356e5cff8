"""The presentation of figures: tables, charts, files, and wording. Pure."""
