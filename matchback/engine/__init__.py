"""The contribution engine: counter caches that survive kills, for any project on MongoEngine.

It knows nothing about donations or emails. A source record states its contribution to the counters
of other records. Settling applies the difference from the last applied contribution, in one
transaction. Creation, deletion, moves, conditions, sums, retries and replays all follow this rule.

In your own project (examples/articles.py is complete; see docs/explanation/engine.md):

    class User(Document):
        articles_count = IntField(default=0)

    class Article(engine.Source, Document):  # adds counted, due and deleted_at
        author_id = ObjectIdField()
        state = StringField()
        meta = {"indexes": [engine.due_index()]}

    LEDGER = engine.Ledger([
        engine.CounterCache(
            field="articles_count", of=Article, on=User, via="author_id",
            when=lambda article: article["state"] == "published",
        ),
    ])

    article.save()                           # also marks it due

    engine.settle_due(database, LEDGER)      # in a job and in a loop
    list(engine.drifts(database, LEDGER))    # finds incorrect counters

The engine needs a replica set. It imports only MongoEngine, PyMongo and orjson. You can copy the
folder under another name.
"""

from .caches import Cache, CounterCache, Flag, LatestCache, Ledger
from .contribution import (
    Amounts,
    Contribution,
    Target,
    add,
    add_amounts,
    difference,
    from_stored,
    from_text,
    increase,
    to_stored,
    to_text,
)
from .due import DUE_FILTER, Source, due_index, now
from .index_table import IndexTable, copy_again
from .journal import JOURNAL_HOUR, Journal, make_journal_id
from .links import LinkIndex, find_sources, shorten_link
from .observer import Observer
from .recount import Drift, Page, collections, compare, flatten_counters
from .repair import repair
from .settle import Changes, settle
from .transaction import Tx, in_transaction
from .update import Update
from .upkeep import compare_all, compare_page, drifts, repair_drift, settle_due

__all__ = [
    "DUE_FILTER",
    "JOURNAL_HOUR",
    "Amounts",
    "Cache",
    "Changes",
    "Contribution",
    "CounterCache",
    "Drift",
    "Flag",
    "IndexTable",
    "Journal",
    "LatestCache",
    "Ledger",
    "LinkIndex",
    "Observer",
    "Page",
    "Source",
    "Target",
    "Tx",
    "Update",
    "add",
    "add_amounts",
    "collections",
    "compare",
    "compare_all",
    "compare_page",
    "copy_again",
    "difference",
    "drifts",
    "due_index",
    "find_sources",
    "flatten_counters",
    "from_stored",
    "from_text",
    "in_transaction",
    "increase",
    "make_journal_id",
    "now",
    "repair",
    "repair_drift",
    "settle",
    "settle_due",
    "shorten_link",
    "to_stored",
    "to_text",
]
