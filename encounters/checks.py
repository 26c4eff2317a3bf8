"""What must hold of the keys, so that nothing is written that nobody can read."""

from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from encounters import encryption, rotation
from encounters.encryption import CannotDecrypt
from encounters.models import Patient


def check_keys(**kwargs: Any) -> list[CheckMessage]:
    """Who gets hold of one key must not have another one with it."""
    secrets = [settings.SECRET_KEY, *settings.FIELD_KEYS.values(), *settings.FIELD_INDEX_KEYS.values()]
    if len(set(secrets)) == len(secrets):
        return []
    words = "SECRET_KEY, FIELD_KEYS and FIELD_INDEX_KEYS hold the same secret twice."
    return [Error(words, hint="Make each: openssl rand -hex 32", id="encounters.E001")]


def check_stored_keys(*, databases: Sequence[str] | None, **kwargs: Any) -> list[CheckMessage]:
    """Reads the database, so runs with `migrate` and with `check --database default` only."""
    ready = [using for using in databases or () if _has(using, Patient, "index_key")]
    return [error for using in ready for error in _unreadable(using)]


def _has(using: str, model: Any, column: str) -> bool:
    """Whether this column is there yet: while migrations are under way, not all are."""
    connection, table = connections[using], model._meta.db_table  # noqa: SLF001 - Django's own name for it
    if table not in connection.introspection.table_names():
        return False
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, table)
    return column in {found.name for found in columns}


def _unreadable(using: str) -> Iterator[CheckMessage]:
    for model, fields in rotation.encrypted_fields():
        for field in fields:
            if not _has(using, model, field.column):
                continue
            for key, count in rotation.keys_of(model, field).items():
                if key is not None and not _opens(model, field, key):
                    words = (
                        f"{count} values of {field.place} cannot be read with the key {key!r} of FIELD_KEYS."
                    )
                    yield Error(words, hint="Give the key that they were written with.", id="encounters.E002")
    for key, count in rotation.index_keys().items():
        if key not in settings.FIELD_INDEX_KEYS:
            words = f"{count} patients are indexed under {key!r}, which FIELD_INDEX_KEYS does not name."
            yield Error(words, hint="Give the key, or `rotate_field_keys` first.", id="encounters.E003")


def _opens(model: Any, field: Any, key: str) -> bool:
    """Whether the key is there, and is the right one, by one value."""
    try:
        encryption.unseal(rotation.one_under(model, field, key), place=field.place)
    except CannotDecrypt:
        return False
    return True


def register_all() -> None:
    register(check_keys, Tags.security)
    register(check_stored_keys, Tags.database)
