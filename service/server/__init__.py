"""The web server: it reads requests, passes them to threads, and writes the responses."""
