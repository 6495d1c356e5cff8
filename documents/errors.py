"""Errors that clients and providers cause. The service turns each into a status, the command line
into a message."""


class NotFound(Exception):
    """No such record in this organization; another organization's is no different."""


class Conflict(Exception):
    """The record's state does not allow it. The message says what does."""


class Unacceptable(Exception):
    """A value is well formed and cannot be used.

    Args:
        pointer: JSON pointer (RFC 6901) to the value.
        code: for programs.
        detail: for people; never repeats the value.
    """

    def __init__(self, pointer: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer
        self.code = code
        self.detail = detail


class Unusable(Exception):
    """Input from a provider or a client that cannot be used.

    The message is the reason, without any of the input. Code that stores a rejection catches this
    class alone: any other error is a bug, which is raised, logged and retried.
    """
