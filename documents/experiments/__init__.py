"""Experiments: what a mailing caused. Pure: no database, no clock.

`sums.py` has the figures that counters keep. `report.py` turns them into intervals.
`docs/decisions/42-anytime-intervals.md` gives the method, its sources and its limits.
"""
