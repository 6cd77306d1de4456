"""URLs that no driver can use as they stand, told as mistakes of the configuration in place of a driver's trace.

Repeats no value of the URL: it may hold a password.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Engine, event
from sqlalchemy.exc import ArgumentError

from connector_host.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAMED: Final = re.compile(r"(?:unexpected keyword argument|invalid connection option) ['\"](\w+)['\"]")
"""How Python's drivers, and libpq, name the key that they do not know."""

_LIBPQ_UNKNOWN: Final = re.compile(r"invalid connection option \"")
_LIBPQ_UNFIT: Final = re.compile(r"connection is bad: invalid (?:\w+ )?value")


@contextmanager
def mistakes_told(driver: str) -> Iterator[None]:
    """Raise ConfigurationError for what only a URL that cannot be used leads to."""
    try:
        yield
    except ArgumentError as failure:
        what = "a file has neither host, user nor password" if driver in {"pysqlite", "sqlite"} else "see its examples"
        raise ConfigurationError(f"database: is no URL that the driver {driver} can use: {what}.") from failure
    except (FileNotFoundError, PermissionError, IsADirectoryError) as failure:
        raise ConfigurationError(
            f"database: a file that the URL names, such as an authority, cannot be read ({failure.strerror})."
        ) from failure
    except TypeError as failure:
        raise _unknown_key(driver, failure) from failure
    except ValueError as failure:
        raise _unfit_value(driver) from failure


def tell_mistakes(engine: Engine, connect_by: Callable[..., object] | None = None) -> None:
    """Have every new connection of the engine tell them; it is made by the driver where nothing else is given."""

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _: object, arguments: list[Any], options: dict[str, Any]) -> object:  # noqa: ANN401 - SQLAlchemy's door
        with mistakes_told(engine.driver):
            try:
                return (connect_by or dialect.connect)(*arguments, **options)
            except dialect.loaded_dbapi.Error as failure:
                if _LIBPQ_UNKNOWN.search(str(failure)):
                    raise _unknown_key(engine.driver, failure) from failure
                if _LIBPQ_UNFIT.search(str(failure)):
                    raise _unfit_value(engine.driver) from failure
                raise


@contextmanager
def of_this_kind(cursor: Any, name: str) -> Iterator[None]:  # noqa: ANN401 - the driver's
    """Raise ConfigurationError where a server refuses what one of this name knows, because it is its sibling."""
    try:
        yield
    except Exception as failure:
        if name not in _SIBLINGS:
            raise
        cursor.execute("SELECT VERSION()")
        found = "mariadb" if "mariadb" in str(cursor.fetchone()[0]).lower() else "mysql"
        if found == name:
            raise
        mend = f"begin the URL with {found} in place of {name}"
        raise ConfigurationError(f"database: this server is {_SIBLINGS[found]}: {mend}.") from failure


_SIBLINGS: Final = {"mysql": "MySQL", "mariadb": "MariaDB"}
"""They speak one protocol, and differ in what they understand."""


def _unknown_key(driver: str, failure: Exception) -> ConfigurationError:
    found = _NAMED.search(str(failure))
    key = f"{found[1]} in the URL is no key" if found else "the URL has a key or a value"
    return ConfigurationError(f"database: {key} that the driver {driver} {'knows' if found else 'cannot use'}.")


def _unfit_value(driver: str) -> ConfigurationError:
    return ConfigurationError(f"database: a value in the URL is none that the driver {driver} takes.")
