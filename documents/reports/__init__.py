"""Reports for people: figures, overviews, time lines, lists of gifts, and health."""
