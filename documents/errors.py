"""Errors that clients and providers cause.

The service turns each into a status code. The command line turns each into a message.
"""


class NotFound(Exception):
    """The organization has no such record. Another organization's record gives the same error."""


class Conflict(Exception):
    """The record's state forbids the change. The message names the state that allows it.

    Args:
        about: further members of the problem document, such as the ID of the other record.
    """

    def __init__(self, detail: str, **about: str | None) -> None:
        super().__init__(detail)
        self.about = about


class Unacceptable(Exception):
    """A value is well-formed, but cannot be used.

    Args:
        pointer: JSON pointer (RFC 6901) to the value.
        code: error code for programs.
        detail: explanation for people; never contains the value.
    """

    def __init__(self, pointer: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer
        self.code = code
        self.detail = detail


class Unusable(Exception):
    """Input from a provider or a client that cannot be used.

    The message is the reason and contains none of the input. Code that stores a rejection catches
    only this class. Any other error is a bug, which is raised, logged and retried.
    """


class ProviderUnavailable(Exception):
    """A provider's server, which Matchback must ask, does not answer now.

    The request can be authentic. The service answers 503, so that the provider sends it again.
    """
