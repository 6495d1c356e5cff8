"""The Prometheus metrics of the web service."""
