"""What a worker does from time to time, each job under a lease."""
