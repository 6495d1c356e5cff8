"""Reports for users: figures, overviews, timelines, lists of gifts, and health."""
