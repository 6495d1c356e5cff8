"""Settling: updates counters from the records that they count, within one transaction.

The caller owns the transaction, and has read the due rows in it. If another transaction changes a
row or target meanwhile, MongoDB reports a write conflict, and the transaction starts again. So the
arithmetic can happen in memory, and a repeated run changes nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pymongo import InsertOne, UpdateOne

from .background_writer import BackgroundWriter
from .caches import LatestCache, Ledger
from .contribution import (
    NO_AMOUNTS_TEXT,
    Amounts,
    Contribution,
    StoredDocument,
    StoredShare,
    Target,
    add,
    add_amounts,
    difference,
    find_leaf,
    find_text_difference,
    from_stored,
    increase,
    to_stored,
)
from .due import remove_marks
from .index_table import IndexTable
from .latest import find_latest_times, find_raised, list_lowered
from .transaction import Tx
from .update import Update

COUNTER_UPDATES_PER_COMMAND = 1000
TARGET_ROWS_PER_ANSWER = 5_000  # MongoDB's first answer has 101 rows by default
COMPUTED_ROWS_PER_WRITE = 250  # computed while the previous rows are written


@dataclass
class Changes:
    """The input of one settlement: due rows, and other writes of the same transaction.

    Attributes:
        rows: due rows to settle, by collection, in their new state. Settling also adds to their
            counters in memory.
        targets: other rows that the caller has read, by collection, because something here changes
            them. The engine treats them like targets that it reads itself; see `settled_alone`.
        increments: amounts to add to counters directly, for sources that an insert counts.
        updates: other writes to a row or target.
        inserts: new rows that their insert counts, by collection.
    """

    rows: dict[str, list[Any]] = field(default_factory=dict)
    targets: dict[str, list[Any]] = field(default_factory=dict)
    increments: Contribution = field(default_factory=dict)
    updates: dict[Target, Update] = field(default_factory=dict)
    inserts: dict[str, list[Any]] = field(default_factory=dict)

    def update_of(self, collection: str, id_: Any) -> Update:
        """Return the update of a row or target, so that the caller can add to it."""
        target = collection, id_
        if (update := self.updates.get(target)) is None:
            update = self.updates[target] = Update()
        return update


def settle(tx: Tx, ledger: Ledger, changes: Changes) -> Mapping[str, Mapping[Any, Any]]:
    """Add to every counter the difference between the rows' current and earlier contributions.

    Return the sources that are now up to date, by collection and ID: the rows, and their targets
    that are sources as well.
    """
    return _Settlement(tx, ledger, changes).run()


class _Settlement:
    """One run over the ledger's order: each collection is computed before its targets.

    A thread writes final rows while the next ones are computed. Targets that are not sources come
    last, because many transactions increment them.
    """

    def __init__(self, tx: Tx, ledger: Ledger, changes: Changes) -> None:
        self.tx = tx
        self.ledger = ledger
        self.pending = changes.increments
        self.aimed: defaultdict[str, dict[Any, Amounts]] = defaultdict(dict)  # as `pending`
        self.rows = {name: _by_id(rows) for name, rows in changes.rows.items()}
        self.targets = {name: _by_id(rows) for name, rows in changes.targets.items()}
        self.updates: defaultdict[str, defaultdict[Any, Update]] = defaultdict(_build_updates)
        for (name, id_), update in changes.updates.items():
            self.updates[name][id_] = update
        self.inserts = changes.inserts
        # By new and former amounts: the targets of all records, as shares have them.
        self.changed: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
        self.lowered: defaultdict[LatestCache, set[Any]] = defaultdict(set)
        self.settled: defaultdict[str, list[StoredDocument]] = defaultdict(list)
        self.made: defaultdict[str, set[Any]] = defaultdict(set)
        self.written: list[Target] = []
        self.indexed: defaultdict[IndexTable, dict[Any, None]] = defaultdict(dict)
        self.journaled: dict[Any, Amounts] = {}
        self.writer = BackgroundWriter()
        self.observers = [(observe(tx), of) for observe, of in ledger.observers.items()]

    def run(self) -> dict[str, dict[Any, StoredDocument]]:
        with self.writer:
            for name, rows in self.inserts.items():
                if rows:
                    insert = self.tx.database[name].insert_many
                    self.writer.send(insert, rows, ordered=False, session=self.tx.session)
            for name in self.ledger.order:
                self._compute(name)
            if self.ledger.journal:
                self.ledger.journal.note(self.tx, self.journaled, self.writer.send)
            for name in self.ledger.order:
                self._read_latest(name)
                self._write(name, list(self.updates[name]))
                self._write_index_tables(name)
            for observer, _ in self.observers:
                observer.write(self.writer.send)
        for name, fields in self.ledger.unmarked_after_commit.items():
            self._remove_marks_later(name, fields)
        self.ledger.on_write(self.tx, self.written)
        return self.rows

    def _remove_marks_later(self, name: str, fields: Sequence[str]) -> None:
        if due := [row for row in self.settled[name] if "due" in row]:
            self.tx.on_commit(partial(remove_marks, self.tx.database, name, due, fields))
            # Their mark is a change, too, even if nothing else is.
            known = set(self.written)
            self.written += [one for row in due if (one := (name, row["_id"])) not in known]

    def _compute(self, name: str) -> None:
        aimed = self._take_pending(name)
        updates = self.updates[name]
        for id_, amounts in aimed.items():
            updates[id_].increment(amounts)
        if self.ledger.find_journal(name):
            self.journaled |= aimed
        if not self.ledger.counters[name]:
            # not a source, so `$inc` is enough
            for id_ in aimed:
                self._make_on_demand(name, id_)
            return
        rows = self.rows.setdefault(name, {})
        given = frozenset(rows)
        rows |= {id_: row for id_, row in self.targets.pop(name, {}).items() if id_ not in given}
        self._load(name, aimed.keys() - rows.keys())
        stays_due = name in self.ledger.settled_alone
        account = self._account_shares if self.ledger.can_share(name) else self._account
        observers = [observer for observer, of in self.observers if name in of]
        computed = list(rows.values())
        for start in range(0, len(computed), COMPUTED_ROWS_PER_WRITE):
            part = computed[start : start + COMPUTED_ROWS_PER_WRITE]
            for row in part:
                update = updates[row["_id"]]
                self._increase(name, row, update, aimed.get(row["_id"], {}) if aimed else {})
                if not (stays_due and "due" in row) or row["_id"] in given:
                    for observer in observers:
                        observer.note(name, row, update)
                    account(name, row, update)
                    self._clear_mark(name, row, update)
            # latest times are read after their sources are written
            if not self.ledger.latest[name]:
                self._write(name, [row["_id"] for row in part])
        self._add_changed()
        if (index := self.ledger.link_indexes.get(name)) and self.settled[name]:
            index.write(self.tx, self.settled[name], send=self.writer.send)

    def _take_pending(self, name: str) -> dict[Any, Amounts]:
        """Return the amounts to add to a collection, by ID, and remove them."""
        for (collection, id_), amounts in self.pending.items():
            of = self.aimed[collection]
            if (known := of.get(id_)) is None:
                of[id_] = amounts
            else:
                add_amounts(known, amounts)
        self.pending.clear()
        return {id_: amounts for id_, amounts in self.aimed.pop(name, {}).items() if amounts}

    def _load(self, name: str, ids: Iterable[Any]) -> None:
        """Read targets that are sources as well. Create those that do not exist yet."""
        wanted = list(ids)
        if not wanted:
            return
        rows = self.rows[name]
        self.writer.wait()
        found = self.tx.database[name].find(
            {"_id": {"$in": wanted}}, session=self.tx.session, batch_size=TARGET_ROWS_PER_ANSWER
        )
        rows |= {row["_id"]: row for row in found}
        for id_ in wanted:
            if id_ in rows:
                continue
            made = self._make_on_demand(name, id_)
            if made is None:
                del self.updates[name][id_]  # purged, so no record can count it
            else:
                rows[id_] = made
                self.made[name].add(id_)

    def _make_on_demand(self, name: str, id_: Any) -> StoredDocument | None:
        """Return the row of a target that its first counter creates; None for other targets."""
        new = self.ledger.created.get(name)
        if new is None:
            return None
        update = self.updates[name][id_]
        row = {**new(id_), **update.operators.get("$setOnInsert", {})}
        update.set_on_insert({key: value for key, value in row.items() if key != "_id"})
        return row

    def _increase(
        self, name: str, row: StoredDocument, update: Update, amounts: Mapping[str, int]
    ) -> None:
        """Add to a record's own counters, and set the flags that follow from them."""
        increase(row, amounts)
        _foresee(row, update)
        for flag in self.ledger.flags[name]:
            if row.get(flag.field) != (value := flag.when(row)):
                row[flag.field] = value
                update.set({flag.field: value})

    def _account(self, name: str, row: StoredDocument, update: Update) -> None:
        """Add the change of the record's contribution to its targets, and store the new one."""
        before = from_stored(row.get("counted"))
        now = self.ledger.contribution(name, row)
        change = difference(now, before)
        if change:
            add(self.pending, change)
            update.set({"counted": to_stored(now)})
        if change or "due" in row:
            self._note_latest(name, row, before)

    def _account_shares(self, name: str, row: StoredDocument, update: Update) -> None:
        """Do the same as `_account`, but add up equal changes of many records first."""
        before: list[StoredShare] = row.get("counted") or []
        now = self.ledger.shares(name, row)
        if now == before:
            return
        if any(isinstance(share[-1], dict) for share in before):  # the form of an earlier version
            self._account(name, row, update)
            update.set({"counted": now})
            return
        update.set({"counted": now})
        if before and [share[1:] for share in now] != [share[1:] for share in before]:
            self._note_moved(now, before)
            return
        for place, (text, *targets) in enumerate(now):
            was = before[place][0] if before else NO_AMOUNTS_TEXT
            if text != was:
                self.changed[text, was] += targets

    def _note_moved(self, now: list[StoredShare], before: list[StoredShare]) -> None:
        """Note the changes of a record with other targets, or other groups of equal amounts."""
        gone = [share for share in before if share not in now]
        for share in now:
            if share in before:
                continue
            text, *targets = share
            same = next((one for one in gone if one[1:] == targets), None)
            if same:
                gone.remove(same)
            self.changed[text, same[0] if same else NO_AMOUNTS_TEXT] += targets
        for was, *targets in gone:
            self.changed[NO_AMOUNTS_TEXT, was] += targets

    def _add_changed(self) -> None:
        for (text, was), targets in self.changed.items():
            amounts = find_text_difference(text, was)
            for target, number in Counter(_pair(targets)).items():
                add(self.pending, {target: amounts}, number)
        self.changed.clear()

    def _clear_mark(self, name: str, row: StoredDocument, update: Update) -> None:
        self.settled[name].append(row)
        if "due" not in row:
            return
        if name not in self.ledger.unmarked_after_commit:
            update.unset("due", "trouble")
        elif "trouble" in row:
            update.unset("trouble")

    def _note_latest(self, name: str, row: StoredDocument, before: Contribution) -> None:
        """Note the latest times that can fall, and raise the others.

        The time of a counted row can change without an amount.
        """
        for cache in self.ledger.latest_of[name]:
            lowered = set(list_lowered(cache, row, before))
            self.lowered[cache] |= lowered
            raised = find_raised(cache, row)
            if raised is not None and raised not in lowered:
                self.updates[cache.target][raised].maximum({cache.field: row[cache.at]})

    def _read_latest(self, name: str) -> None:
        """Read latest times after their sources are written. The session sees its own writes."""
        for cache in self.ledger.latest[name]:
            self.writer.wait()
            ids = self.lowered[cache]
            for id_, latest in find_latest_times(self.tx, self.ledger, cache, ids):
                self.updates[name][id_].withdraw("$max", cache.field)
                self.updates[name][id_].set_or_unset({cache.field: latest})

    def _write(self, name: str, ids: list[Any]) -> None:
        upsert = name in self.ledger.created
        waiting = self.updates[name]
        found = ((id_, waiting.pop(id_, None)) for id_ in ids)
        updates = [(id_, one.operators) for id_, one in found if one is not None and one.operators]
        self.written += [(name, id_) for id_, _ in updates]
        self._note_indexed(name, updates)
        made = self.made[name]
        operations: list[Any] = [
            InsertOne(_complete(self.rows[name][id_], update))
            if made and id_ in made
            else UpdateOne({"_id": id_}, update, upsert=upsert)
            for id_, update in updates
        ]
        if made:
            made.difference_update(ids)
        for start in range(0, len(operations), COUNTER_UPDATES_PER_COMMAND):
            part = operations[start : start + COUNTER_UPDATES_PER_COMMAND]
            write = self.tx.database[name].bulk_write
            self.writer.send(write, part, ordered=False, session=self.tx.session)

    def _note_indexed(self, name: str, updates: list[tuple[Any, dict[str, Any]]]) -> None:
        """Note the written records whose rows in index tables change."""
        for table in self.ledger.index_tables_of(name):
            rows = self.rows.get(name, {})
            for id_, update in updates:
                is_deleted = rows.get(id_, {}).get("deleted_at") is not None
                if is_deleted or table.is_changed_by(update):
                    self.indexed[table][id_] = None

    def _write_index_tables(self, name: str) -> None:
        """Copy fields after the records are written. The session sees its own writes."""
        for table in self.ledger.index_tables_of(name):
            if ids := self.indexed[table]:
                self.writer.wait()
                table.copy(self.tx, list(ids), self.writer.send)


def _pair(targets: Sequence[Any]) -> Iterator[Target]:
    """Return the targets of a share, which are stored as [collection, ID, collection, ID, …]."""
    return zip(targets[::2], targets[1::2], strict=True)


def _build_updates() -> defaultdict[Any, Update]:
    return defaultdict(Update)


def _by_id(rows: Iterable[StoredDocument]) -> dict[Any, StoredDocument]:
    return {row["_id"]: row for row in rows}


def _complete(row: StoredDocument, operators: Mapping[str, Mapping[str, Any]]) -> StoredDocument:
    """Return the row to insert for a target that a counter creates.

    Within a transaction, an upsert that inserts takes MongoDB over ten times as long. The row in
    memory has everything except what settling has stored since.
    """
    return {**row, **operators.get("$set", {})}


def _foresee(row: StoredDocument, update: Update) -> None:
    """Apply the update to the row in memory, as MongoDB will to the stored one."""
    operators = update.operators
    row.update(operators.get("$set", {}))
    for operator, better in (("$min", min), ("$max", max)):
        for path, value in operators.get(operator, {}).items():
            place, name = find_leaf(row, path)
            place[name] = value if place.get(name) is None else better(place[name], value)
