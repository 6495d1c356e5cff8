"""The database connection and the error messages that commands share."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click

DEFAULT_DATA_FOLDER = Path("var")
AUTHENTICATION_ERROR_CODES = (13, 18)  # MongoDB's codes for Unauthorized and AuthenticationFailed


@contextmanager
def explain_errors() -> Iterator[None]:
    """Turn errors that a user can fix into a one-line message and exit code 1."""
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
        raise click.ClickException("Record not found. Check the ID or email address.") from None
    except (ConfigurationError, InvalidURI):
        raise click.ClickException(
            "MATCHBACK_MONGODB_URI is not a valid MongoDB URI. Correct it."
        ) from None
    except PyMongoError as error:
        if getattr(error, "code", None) in AUTHENTICATION_ERROR_CODES:
            raise click.ClickException(
                "MongoDB rejects the user or password in MATCHBACK_MONGODB_URI. Correct them."
            ) from None
        if not is_transient(error):
            raise
        raise click.ClickException(
            "MongoDB does not respond. Start all services with `matchback up`, or set "
            "MATCHBACK_MONGODB_URI to its address."
        ) from None


def with_data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--data` to the command. The command uses that deployment if no settings name another."""

    @click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        help=f"Data directory of a running `matchback up`.  [default: {DEFAULT_DATA_FOLDER}]",
    )
    @wraps(command)
    def run(data: Path | None, **options: Any) -> Any:
        from service.local import addresses

        if data is not None and not addresses.env_file_path(data).exists():
            raise click.ClickException(
                f"No deployment runs in {data}. Start it with `matchback up --data {data}`."
            )
        addresses.apply_addresses(data or DEFAULT_DATA_FOLDER, first=data is not None)
        return command(**options)

    return run


def connected(command: Callable[..., Any]) -> Callable[..., Any]:
    """Connect the command to the database."""

    @with_data_option
    @wraps(command)
    def run(**options: Any) -> Any:
        from config.database import check_deployment, connect_database

        with explain_errors():
            check_deployment(connect_database())
            return command(**options)

    return run


def print_values(values: dict[str, Any], text: str, as_json: bool) -> None:
    """Print one line, as JSON or as text."""
    click.echo(json.dumps(values) if as_json else text)
