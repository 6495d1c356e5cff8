"""The metrics that the web service exposes to Prometheus."""
