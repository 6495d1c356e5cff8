"""Background work in the worker: callbacks, tasks, the sweep, and periodic jobs."""
