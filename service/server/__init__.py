"""The web server: the path of a request from its connection to a thread, and of the answer back."""
