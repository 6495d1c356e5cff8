"""Reference pages, screenshots, and the code blocks of the documentation."""
