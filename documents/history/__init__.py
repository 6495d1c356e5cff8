"""History of counters and gifts: what settling added, and when."""
