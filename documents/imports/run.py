"""The work on an uploaded file: the check, which stores no records, and the import itself.

The work pauses after each batch, so that one thread works on the files of many organizations. The
import stores the counts of a batch before the batch itself. So the counts are exact if the worker
is killed at any point: another worker stores the batch again, which finds the same records.
"""

from collections.abc import Iterator
from itertools import islice
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from documents.errors import Unusable
from documents.imports import files
from documents.imports.attempt import end_attempt, update_attempt
from documents.imports.chosen import build_choices, guess_columns, list_asks
from documents.imports.file_import import FileImport
from documents.imports.import_file import FileLine, ImportFile, UnclearColumns
from documents.imports.kinds import IMPORT_KINDS, import_file_line
from documents.imports.record_import import RecordImport
from documents.imports.rejection import MAX_REJECTIONS, Rejection
from documents.imports.samples import describe_line
from documents.imports.tables.readers import open_reader
from documents.imports.tables.table import Table
from documents.organization import Organization
from documents.values.time import now

ROWS_PER_BATCH = 1000
MAX_SAMPLES = 20


class Superseded(Exception):
    """A person changed or cancelled the import, or another worker continues it."""


class ImportWork:
    """One attempt at an import.

    Raises:
        Superseded: from `steps`.
        PyMongoError: from `steps`, if the database is unavailable.
    """

    def __init__(self, record: FileImport) -> None:
        self._record = record
        self._kind = IMPORT_KINDS[record.records]

    def steps(self) -> Iterator[None]:
        """Work on the file, and pause after each batch."""
        record = self._record
        is_check = record.state == "checking"
        with TemporaryFile() as temporary:  # without a name, because a worker can be killed
            copy = cast("BinaryIO", temporary)
            try:
                yield from self._copy(copy)
                with self._open(copy) as file:
                    yield from self._survey(file)
                    yield from self._check(file) if is_check else self._import(file)
            except UnclearColumns as error:
                self._describe(error.table, guess_columns(record, error.table.columns))
                self._save(state="unclear", problem=str(error))
            except Unusable as error:
                self._give_up(str(error), is_check=is_check)
        if record.state == "done":
            record.drop_file()

    def _copy(self, target: BinaryIO) -> Iterator[None]:
        record = self._record
        yield from files.copy_file(record.organization_id, record.file_id, record.size, target)

    def _open(self, copy: BinaryIO) -> ImportFile:
        organization = Organization.objects.get(id=self._record.organization_id)
        choices = build_choices(self._record, organization)
        return ImportFile(self._record.records, lambda: open_reader(copy), choices)

    def _survey(self, file: ImportFile) -> Iterator[None]:
        for _ in file.survey_rows():
            self._save()
            yield
        if self._record.state == "checking":
            self._describe(file.table, [[name, of or ""] for name, of in file.mapping.items()])

    def _describe(self, table: Table, columns: list[list[str]]) -> None:
        format_ = {"kind": table.kind, "encoding": table.encoding, "delimiter": table.delimiter}
        self._save(format=format_, found_columns=columns)

    def _check(self, file: ImportFile) -> Iterator[None]:
        record, samples, asks = self._record, list[dict[str, Any]](), set[str]()
        Rejection.objects(import_id=record.id).delete()
        importing = self._begin(dry_run=True)
        self._save(rows=file.rows, position=0, made=0, found=0, rejected=0, samples=[])
        for lines in _batch(file.read_lines()):
            refused = self._add(importing, lines)
            asks |= set(list_asks(refused))
            if len(samples) < MAX_SAMPLES:
                samples += [describe_line(line, refused) for line in lines[:MAX_SAMPLES]]
            self._reject(lines, refused)
            self._save(
                position=record.position + len(lines),
                made=importing.created,
                found=importing.found,
                rejected=importing.refused_count,
                samples=samples[:MAX_SAMPLES],
                asks=sorted(asks),
            )
            yield
        self._save(state="ready")

    def _import(self, file: ImportFile) -> Iterator[None]:
        record, end = self._record, 0
        planner, storer = self._begin(dry_run=True), self._begin(dry_run=False)
        if not record.position:
            Rejection.objects(import_id=record.id).delete()
        for lines in _batch(file.read_lines()):
            end += len(lines)
            if end > record.position:
                self._import_batch(planner, storer, lines, end)
            elif record.records == "donations":  # these number the equal lines of a whole file
                self._add(planner, lines)
                self._add(storer, lines)
            yield
        if not end_attempt(record, "done", ended_at=now(), samples=[], planned={}):
            raise Superseded

    def _import_batch(
        self,
        planner: RecordImport[Any],
        storer: RecordImport[Any],
        lines: list[FileLine],
        end: int,
    ) -> None:
        record = self._record
        made, found = planner.created, planner.found
        planned_refusals = self._add(planner, lines)
        plan = record.planned
        if plan.get("position") != end:  # otherwise, a killed worker had begun to store the batch
            plan = {
                "position": end,
                "made": record.made + planner.created - made,
                "found": record.found + planner.found - found,
                "rejected": record.rejected + len(planned_refusals),
            }
            self._save(planned=plan)
        held_out = storer.held_out_count
        refused = self._add(storer, lines)
        if storer.held_out_count > held_out:
            plan["held_out"] = (record.held_out or 0) + storer.held_out_count - held_out
        # A record that a line names may have been deleted since the plan.
        late = max(0, len(refused) - len(planned_refusals))
        self._reject(lines, refused)
        self._save(
            **{**plan, "made": plan["made"] - late, "rejected": plan["rejected"] + late},
            planned={},
        )

    def _begin(self, *, dry_run: bool) -> RecordImport[Any]:
        return self._kind.importing(self._record.organization_id, dry_run)

    def _add(self, importing: RecordImport[Any], lines: list[FileLine]) -> list[dict[str, Any]]:
        """Import a batch. Return its rejected lines."""
        for line in lines:
            import_file_line(self._kind, importing, line)
        importing.flush()
        refused = list(importing.refused)
        importing.refused.clear()
        return refused

    def _reject(self, lines: list[FileLine], refused: list[dict[str, Any]]) -> None:
        if self._record.rejected < MAX_REJECTIONS:
            numbers = (lines[0].number, lines[-1].number)
            Rejection.replace(self._record.organization_id, self._record.id, numbers, refused)

    def _give_up(self, problem: str, *, is_check: bool) -> None:
        if is_check:
            self._save(state="unclear", problem=problem)
        elif not end_attempt(self._record, "failed", problem=problem):
            raise Superseded

    def _save(self, **changes: Any) -> None:
        if not update_attempt(self._record, **changes):
            raise Superseded


def _batch(lines: Iterator[FileLine]) -> Iterator[list[FileLine]]:
    while batch := list(islice(lines, ROWS_PER_BATCH)):
        yield batch
