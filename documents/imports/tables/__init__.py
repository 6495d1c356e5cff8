"""Tables as people have them: CSV, Excel and NDJSON files, read in bounded memory."""
