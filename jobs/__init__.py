"""Background work: callbacks, tasks, the sweep, and periodic jobs."""
