"""The HTTP service and the command line. Thin: parse, authorise, call one method, answer."""
