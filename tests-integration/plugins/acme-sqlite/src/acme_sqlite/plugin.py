"""Registers the provider; nothing heavy is imported."""

from omopcloudetl.core.hookspecs import hookimpl
from omopcloudetl.core.registrations import Provider


def _generator():
    from acme_sqlite.provider import SQLiteGenerator

    return SQLiteGenerator()


def _connection(settings, base):
    from acme_sqlite.provider import SQLiteConnection

    return SQLiteConnection(base / str(settings["folder"]))


@hookimpl
def omopcloudetl_register_providers():
    """SQLite."""
    return [Provider("acme-sqlite", "SQLite, a file for each schema", _generator, _connection)]
