"""The HTTP service and the command line, which parse, authorize, call one method and respond."""
