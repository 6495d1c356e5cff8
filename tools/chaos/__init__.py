"""Random faults under load, and an independent computation of what must be stored afterwards."""
