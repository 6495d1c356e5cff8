"""Temporary database errors: MongoDB was unavailable, slow or busy.

The same work can run again, because the records are not at fault. Source of the codes:
`src/mongo/base/error_codes.yml` in MongoDB's repository, read for 6.0 to 8.2. All other codes mean
a fault of the record or the program.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mongoengine.errors import MongoEngineException
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    CursorNotFound,
    EncryptionError,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    ProtocolError,
    PyMongoError,
    WTimeoutError,
)

UNREACHABLE_CODES = frozenset(
    [
        *(6, 7, 89, 9001),  # HostUnreachable, HostNotFound, NetworkTimeout, SocketException
        *(83, 90, 145, 172),  # RemoteResultsUnavailable, CallbackCanceled, connections dropped
        *(199, 202, 279, 303),  # ReplicaSetMonitorRemoved, time limits, ClientDisconnect
        *(317, 372, 384, 398, 407),  # pooled connections
        *(230, 231, 56846),  # DNSHostNotFound, DNSProtocolError, ConfigServerUnreachable
    ]
)
# An operator must fix these. Records cannot cause them.
DENIED_CODES = frozenset(
    [
        *(13, 18, 391),  # Unauthorized, AuthenticationFailed, ReauthenticationRequired
        8000,  # Atlas: over a quota, too many connections, or a revoked user
    ]
)
NOT_PRIMARY_CODES = frozenset(
    [
        *(91, 333, 11600),  # shutting down
        *(189, 10058, 10107, 11602, 13435, 13436),  # stepped down, or not primary
        *(95, 133, 190, 216, 308),  # no member that suits, or an election
        *(64, 75, 79, 100, 134, 149),  # no majority
    ]
)
BUSY_CODES = frozenset(
    [
        *(24, 46, 107),  # LockTimeout, LockBusy, LockFailed
        *(112, 117),  # WriteConflict, ConflictingOperationInProgress
        *(109, 215, 267, 272),  # something else is in progress
        *(276, 285, 12586, 12587),  # an index is being built
        *(314, 319, 338, 342, 343, 363),  # ObjectIsBusy, MovePrimary, resharding
        *(365, 402, 433, 449, 450, 462),  # TemporarilyUnavailable, overloaded
        *(371, 406, 412, 453, 50915),  # writes blocked for a while
        *(208, 261, 264, 14031),  # out of locks, sessions, files, disk
    ]
)
INTERRUPTED_CODES = frozenset(
    [
        *(43, 136, 143, 175, 237),  # cursors and plans that were killed
        *(194, 234, 281, 282, 310, 355, 11601, 46841),  # operations that were killed
        *(206, 225, 244, 251, 256, 356),  # the session or transaction is gone
        *(374, 375, 91331, 10045600),  # the server asks to repeat it
        *(63, 150, 249, 250, 358, 13388),  # a router's view of the shards is old
        *(246, 239),  # SnapshotUnavailable, SnapshotTooOld
    ]
)
TIME_LIMIT_CODES = frozenset(
    [50, 262, 290]
)  # MaxTimeMSExpired, ExceededTimeLimit, transaction lifetime
# ExceededMemoryLimit, TransactionTooLarge, QueryExceededMemoryLimit…, TransactionTooLargeForCache
TOO_LARGE_CODES = frozenset([146, 257, 292, 388])
TRANSIENT_ERROR_CODES = (
    UNREACHABLE_CODES
    | DENIED_CODES
    | NOT_PRIMARY_CODES
    | BUSY_CODES
    | INTERRUPTED_CODES
    | TIME_LIMIT_CODES
    | TOO_LARGE_CODES
)

# Closed and corrupted connections, and cursors that the server forgot.
TRANSIENT_ERROR_CLASSES = (
    ConnectionFailure,
    CursorNotFound,
    ExecutionTimeout,
    ProtocolError,
    WTimeoutError,
)
# PyMongo raises this for a starting node that is not yet in its replica set. `check_deployment`
# rejects standalone servers at the start.
STARTING_MESSAGES = ("Sessions are not supported",)
ENDED_MESSAGES = (
    "ended session",
    "MongoClient after close",
    "transaction",
)  # this process is stopping
TRANSIENT_ERROR_LABELS = (
    "TransientTransactionError",
    "UnknownTransactionCommitResult",
    "RetryableWriteError",
    "RetryableError",
    "SystemOverloadedError",
)


def is_transient(error: BaseException) -> bool:
    """Return whether an error only means that the database was unavailable, slow or busy."""
    if isinstance(error, MongoEngineException):  # MongoEngine wraps what PyMongo raised
        cause = error.__cause__ or error.__context__
        return cause is not None and is_transient(cause)
    if not isinstance(error, PyMongoError):
        return False
    if (
        isinstance(error, TRANSIENT_ERROR_CLASSES)
        or error.timeout
        or any(map(error.has_error_label, TRANSIENT_ERROR_LABELS))
    ):
        return True
    if isinstance(error, EncryptionError):
        return is_transient(error.cause)
    if isinstance(error, OperationFailure):
        return not TRANSIENT_ERROR_CODES.isdisjoint(_codes(error))
    known = STARTING_MESSAGES if isinstance(error, ConfigurationError) else ENDED_MESSAGES
    types = (ConfigurationError, InvalidOperation)
    return isinstance(error, types) and any(words in str(error) for words in known)


def is_too_large(error: BaseException) -> bool:
    """Return whether the work needs more memory than MongoDB allows. A smaller batch helps."""
    return isinstance(error, OperationFailure) and not TOO_LARGE_CODES.isdisjoint(_codes(error))


def _codes(error: OperationFailure) -> Iterator[int | None]:
    """Yield the codes of an error and of all errors inside it.

    A bulk write can contain a temporary error beside a bad record. Callers repeat it until only the
    bad record is left.
    """
    yield error.code
    details: Mapping[str, Any] = error.details or {}
    inner = details.get("error")
    if isinstance(inner, OperationFailure):
        yield from _codes(inner)
    elif isinstance(inner, PyMongoError) and is_transient(inner):
        yield from TRANSIENT_ERROR_CODES
    concern = details.get("writeConcernError")
    errors = [concern] if concern else []
    for one in (*errors, *_all(details, "writeErrors"), *_all(details, "writeConcernErrors")):
        yield one.get("code") if isinstance(one, Mapping) else getattr(one, "code", None)


def _all(details: Mapping[str, Any], name: str) -> Iterable[Any]:
    found = details.get(name) or ()
    return found.values() if isinstance(found, Mapping) and "code" not in found else found
