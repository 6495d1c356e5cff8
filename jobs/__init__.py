"""What happens after a save, in the worker: callbacks, tasks, the sweep."""
