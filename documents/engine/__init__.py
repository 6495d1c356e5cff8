"""The contribution engine: counter caches that survive kills.

It knows nothing of donations or emails. A source record says what it contributes to the counters
of other records; settling applies the difference between that and what was applied last, in one
transaction. Creation, deletion, moving, conditions, sums, retries and replays are that one rule.
"""
