"""What developers run: benchmarks, chaos, documentation. Tests use some of it in a short form."""
