"""Random faults under load, and an independent computation of the expected data."""
