"""Triggers by which the database itself refuses to change or remove an access record.

They are put up after each `migrate`: SQLite forgets a table's triggers when a migration rebuilds the table.
"""

from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

TABLE = "encounters_accessrecord"
REFUSAL = "access records are written once"

_SQLITE = """
CREATE TRIGGER IF NOT EXISTS access_record_update BEFORE UPDATE ON encounters_accessrecord
BEGIN SELECT RAISE(ABORT, 'access records are written once'); END;
CREATE TRIGGER IF NOT EXISTS access_record_delete BEFORE DELETE ON encounters_accessrecord
BEGIN SELECT RAISE(ABORT, 'access records are written once'); END;
CREATE TRIGGER IF NOT EXISTS access_record_replace BEFORE INSERT ON encounters_accessrecord
WHEN EXISTS (
  SELECT 1 FROM encounters_accessrecord WHERE NEW.id = id OR NEW.number = number OR NEW.digest = digest
)
BEGIN SELECT RAISE(ABORT, 'access records are written once'); END;
"""
"""REPLACE removes the row that is in its way without a word to a delete trigger."""
# ENABLE ALWAYS: also where session_replication_role would silence an ordinary trigger.
_POSTGRESQL = """
CREATE OR REPLACE FUNCTION access_record_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN RAISE EXCEPTION 'access records are written once' USING ERRCODE = 'restrict_violation'; END$$;
CREATE OR REPLACE TRIGGER access_record_update BEFORE UPDATE ON encounters_accessrecord
FOR EACH ROW EXECUTE FUNCTION access_record_refuse();
CREATE OR REPLACE TRIGGER access_record_delete BEFORE DELETE ON encounters_accessrecord
FOR EACH ROW EXECUTE FUNCTION access_record_refuse();
CREATE OR REPLACE TRIGGER access_record_truncate BEFORE TRUNCATE ON encounters_accessrecord
FOR EACH STATEMENT EXECUTE FUNCTION access_record_refuse();
ALTER TABLE encounters_accessrecord ENABLE ALWAYS TRIGGER access_record_update;
ALTER TABLE encounters_accessrecord ENABLE ALWAYS TRIGGER access_record_delete;
ALTER TABLE encounters_accessrecord ENABLE ALWAYS TRIGGER access_record_truncate;
"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers up, unless they are there."""
    if not missing(connection):
        return
    with connection.cursor() as cursor:
        for statement in _statements(connection):
            cursor.execute(statement)


def _statements(connection: BaseDatabaseWrapper) -> list[str]:
    if connection.vendor == "postgresql":
        return [_POSTGRESQL]
    return [f"{part} END;" for part in _SQLITE.split("END;") if part.strip()]


def guards(connection: BaseDatabaseWrapper) -> list[str]:
    """The names of the triggers. SQLite has no TRUNCATE, PostgreSQL no REPLACE."""
    last = "truncate" if connection.vendor == "postgresql" else "replace"
    return [f"access_record_{act}" for act in ("update", "delete", last)]


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The triggers that are not there, or that are switched off."""
    if connection.vendor == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND tgenabled = 'A'"
    else:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"
    with connection.cursor() as cursor:
        cursor.execute(query, [TABLE])
        found = {name for (name,) in cursor.fetchall()}
    return [name for name in guards(connection) if name not in found]


def after_migrate(*, using: str, **kwargs: Any) -> None:
    connection = connections[using]
    if TABLE in connection.introspection.table_names():
        install(connection)
