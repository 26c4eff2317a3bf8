"""Triggers by which the database itself refuses to change or remove what is written once.

They are put up after each `migrate`: SQLite forgets a table's triggers when a migration rebuilds the table.
"""

from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = {"access_record": "encounters_accessrecord", "erasure_proof": "encounters_erasureproof"}
"""What is written once, and in which table."""
REFUSAL = "are written once"

# REPLACE removes the row that is in its way without a word to a delete trigger.
_SQLITE = {
    "update": "BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{refusal}'); END",
    "delete": "BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{refusal}'); END",
    "replace": (
        "BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) "
        "BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
    ),
}
_SAME = {
    "access_record": "NEW.id = id OR NEW.number = number OR NEW.digest = digest",
    "erasure_proof": "NEW.id = id OR NEW.digest = digest",
}
_POSTGRESQL = {
    "update": "BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {kind}_refuse()",
    "delete": "BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {kind}_refuse()",
    "truncate": "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {kind}_refuse()",
}
_REFUSE = """
CREATE OR REPLACE FUNCTION {kind}_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$BEGIN RAISE EXCEPTION '{refusal}' USING ERRCODE = 'restrict_violation'; END$$
"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Put the triggers up, unless they are there."""
    tables = connection.introspection.table_names()
    absent = missing(connection)
    for kind, table in TABLES.items():
        if table in tables and any(name in absent for name in _guards_of(kind, connection)):
            with connection.cursor() as cursor:
                for statement in _statements(kind, table, connection):
                    cursor.execute(statement)


def _statements(kind: str, table: str, connection: BaseDatabaseWrapper) -> list[str]:
    words = {"kind": kind, "table": table, "same": _SAME[kind], "refusal": f"{kind}s {REFUSAL}"}
    words["refusal"] = words["refusal"].replace("_", " ")
    if connection.vendor != "postgresql":
        return [
            f"CREATE TRIGGER IF NOT EXISTS {kind}_{act} {body.format(**words)}"
            for act, body in _SQLITE.items()
        ]
    made = [_REFUSE.format(**words)]
    for act, body in _POSTGRESQL.items():
        made.append(f"CREATE OR REPLACE TRIGGER {kind}_{act} {body.format(**words)}")
        # Also where session_replication_role would silence an ordinary trigger.
        made.append(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {kind}_{act}")
    return made


def _guards_of(kind: str, connection: BaseDatabaseWrapper) -> list[str]:
    acts = _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE
    return [f"{kind}_{act}" for act in acts]


def guards(connection: BaseDatabaseWrapper) -> list[str]:
    """The names of the triggers. SQLite has no TRUNCATE, PostgreSQL no REPLACE."""
    return [name for kind in TABLES for name in _guards_of(kind, connection)]


def table_of(guard: str) -> str:
    return TABLES[guard.rpartition("_")[0]]


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The triggers that are not there, or that are switched off."""
    if connection.vendor == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE tgenabled = 'A'"
    else:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    with connection.cursor() as cursor:
        cursor.execute(query)
        found = {name for (name,) in cursor.fetchall()}
    return [name for name in guards(connection) if name not in found]


def after_migrate(*, using: str, **kwargs: Any) -> None:
    install(connections[using])
