"""The database connection and the error messages that commands share."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click

DEFAULT_DATA_FOLDER = Path("var")
AUTHENTICATION_ERROR_CODES = (13, 18)  # Unauthorized, AuthenticationFailed


@contextmanager
def explain_errors() -> Iterator[None]:
    """What is the user's to mend becomes a sentence and exit code 1, not a traceback."""
    from pymongo.errors import ConfigurationError, InvalidURI, PyMongoError

    from config.database import DeploymentError
    from config.settings import SettingsError
    from config.transient_errors import is_transient
    from documents.errors import Conflict, NotFound, Unacceptable
    from documents.storage.sealed import UnsealableSecret

    try:
        yield
    except (SettingsError, DeploymentError, Conflict, Unacceptable, UnsealableSecret) as error:
        raise click.ClickException(str(error)) from None
    except NotFound:
        raise click.ClickException("There is no such record.") from None
    except (ConfigurationError, InvalidURI):
        raise click.ClickException(
            "MATCHBACK_MONGODB_URI cannot be used: it is no URI that MongoDB's driver reads."
        ) from None
    except PyMongoError as error:
        if getattr(error, "code", None) in AUTHENTICATION_ERROR_CODES:
            raise click.ClickException(
                "MongoDB refuses the user or password in MATCHBACK_MONGODB_URI."
            ) from None
        if not is_transient(error):
            raise
        raise click.ClickException(
            "MongoDB does not answer. Start everything with «matchback up», or set "
            "MATCHBACK_MONGODB_URI to where it is."
        ) from None


def with_data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command of the deployment in --data, where that is given or nothing else is."""

    @click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help=f"The folder of a running «matchback up».  [default: {DEFAULT_DATA_FOLDER}]",
    )
    @wraps(command)
    def run(data: Path | None, **options: Any) -> Any:
        from service.local import addresses

        if data is not None and not addresses.env_file_path(data).exists():
            raise click.ClickException(
                f"Nothing is up in {data}: start it with «matchback up --data {data}»."
            )
        addresses.apply_addresses(data or DEFAULT_DATA_FOLDER, first=data is not None)
        return command(**options)

    return run


def connected(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that works on the database."""

    @with_data_option
    @wraps(command)
    def run(**options: Any) -> Any:
        from config.database import check_deployment, connect_database

        with explain_errors():
            check_deployment(connect_database())
            return command(**options)

    return run


def print_values(values: dict[str, Any], text: str, as_json: bool) -> None:
    """One line: of JSON, or for people."""
    click.echo(json.dumps(values) if as_json else text)
