"""What people read: reports, overviews, time lines, lists of gifts, and health."""
