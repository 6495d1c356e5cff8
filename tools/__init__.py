"""Programs for developers: benchmarks, chaos, documentation. Tests use some of them."""
