"""The HTTP service and the command line. Thin: parse, authorize, call one method, answer."""
