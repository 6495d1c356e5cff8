"""What a process tells about its work: logs, metrics, and traces."""
