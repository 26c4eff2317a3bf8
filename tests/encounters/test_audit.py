"""The chain of access records: nobody changes, removes or slips in one unseen."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from encounters import append_only, audit, chain
from encounters.callers import Caller
from encounters.models import AccessRecord, Verb
from tests.conftest import at_once, drop_triggers

pytestmark = pytest.mark.django_db
FIRST = "SELECT * FROM encounters_accessrecord WHERE number = 1"
POSTGRESQL = connection.vendor == "postgresql"


@pytest.fixture
def records(encounter, alice):
    """Five records, the first of which is of the encounter's opening."""
    for address in ("192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7", None):
        Caller(user=alice, address=address).record(
            Verb.ENCOUNTER_VIEWED, encounter=encounter, reason="“Größe”, 視"
        )
    return list(AccessRecord.objects.all())


def run(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def put_triggers_back():
    connection.check_constraints()  # PostgreSQL alters no table for which checks are waiting
    append_only.install(connection)


def verify(*arguments):
    out, errors = StringIO(), StringIO()
    try:
        call_command("verify_audit", *arguments, stdout=out, stderr=errors)
    except CommandError as error:
        return errors.getvalue().splitlines(), str(error)
    return out.getvalue()


# Append only


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE encounters_accessrecord SET reason = 'changed'",
        "UPDATE encounters_accessrecord SET at = at WHERE number = 1",
        "DELETE FROM encounters_accessrecord",
        "DELETE FROM encounters_accessrecord WHERE number = 5",
        "TRUNCATE encounters_accessrecord" if POSTGRESQL else "REPLACE INTO encounters_accessrecord " + FIRST,
        "INSERT INTO encounters_accessrecord " + FIRST + " ON CONFLICT (id) DO UPDATE SET reason = 'x'",
    ],
)
@pytest.mark.usefixtures("records")
def test_the_database_refuses(sql):
    with pytest.raises(DatabaseError), transaction.atomic():
        run(sql)

    assert AccessRecord.objects.count() == 5


@pytest.mark.usefixtures("records")
def test_so_it_does_when_asked_by_django():
    for act in (lambda: AccessRecord.objects.update(reason="x"), lambda: AccessRecord.objects.all().delete()):
        with pytest.raises(DatabaseError, match=append_only.REFUSAL), transaction.atomic():
            act()


@pytest.mark.django_db(transaction=True)
def test_the_database_is_not_emptied_by_mistake(records):
    with pytest.raises(CommandError):
        call_command("flush", interactive=False, verbosity=0)

    assert AccessRecord.objects.count() == 5


@pytest.mark.usefixtures("records")
def test_the_triggers_come_back_with_each_migrate():
    drop_triggers()
    assert append_only.missing(connection) == append_only.guards(connection)

    connection.check_constraints()
    append_only.after_migrate(using="default")

    assert append_only.missing(connection) == []


# The chain


def test_each_record_holds_the_digest_of_the_one_before(records):
    assert [record.number for record in records] == [1, 2, 3, 4, 5]
    assert [record.previous for record in records] == [
        chain.BEGINNING,
        *[record.digest for record in records[:-1]],
    ]


def test_an_act_that_is_undone_leaves_no_gap(records, encounter, alice):
    with transaction.atomic():
        Caller(user=alice).record(Verb.ENCOUNTER_REVIEWED, encounter=encounter)
        transaction.set_rollback(True)

    assert Caller(user=alice).record(Verb.ENCOUNTER_VIEWED, encounter=encounter).number == 6


@pytest.mark.django_db(transaction=True)
def test_many_at_once_make_one_chain(encounter, alice):
    def act():
        with transaction.atomic():
            Caller(user=alice).record(Verb.ENCOUNTER_VIEWED, encounter=encounter)

    assert at_once(*[act] * 8) == [None] * 8

    assert list(AccessRecord.objects.values_list("number", flat=True)) == list(range(1, 10))
    assert list(audit.problems()) == []


# Proof


def test_a_whole_chain_is_proved(records):
    assert verify() == f"5 access records, unbroken. Head: 5:{records[-1].digest}\n"


@pytest.mark.django_db
def test_no_records_are_whole_too():
    assert verify() == f"0 access records, unbroken. Head: 0:{chain.BEGINNING}\n"


@pytest.fixture
def forged(records):
    """`forged(sql)`: what is found after a master of the database ran this and put the triggers back."""

    def forge(sql, *parameters):
        drop_triggers()
        run(sql, *parameters)
        put_triggers_back()
        return list(audit.problems())

    return forge


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE encounters_accessrecord SET reason = 'nothing' WHERE number = 2",
        "UPDATE encounters_accessrecord SET verb = 'link created' WHERE number = 2",
        "UPDATE encounters_accessrecord SET user_id = NULL WHERE number = 2",
        "UPDATE encounters_accessrecord SET address = NULL WHERE number = 2",
        "UPDATE encounters_accessrecord SET encounter_id = NULL WHERE number = 2",
        "UPDATE encounters_accessrecord SET at = '2020-01-01 00:00:00+00:00' WHERE number = 2",
    ],
)
def test_a_changed_record_is_found(forged, change):
    assert forged(change) == ["Record 2 was changed."]


def test_a_removed_record_is_found(forged):
    assert forged("DELETE FROM encounters_accessrecord WHERE number IN (2, 3)") == [
        "Records 2 to 3 are missing."
    ]


def test_a_removed_record_whose_place_was_taken_is_found(forged):
    drop_triggers()
    run("DELETE FROM encounters_accessrecord WHERE number = 2")

    found = forged("UPDATE encounters_accessrecord SET number = number - 1 WHERE number > 2")

    assert "Record 2 does not follow from the one before." in found


def test_a_record_with_a_digest_of_its_own_breaks_the_next(forged, records):
    record = records[1]
    record.reason = "nothing"

    found = forged(
        "UPDATE encounters_accessrecord SET reason = 'nothing', digest = %s WHERE number = 2",
        chain.digest_of(record),
    )

    assert found == ["Record 3 does not follow from the one before."]


def test_an_end_that_was_cut_off_is_found_by_a_head_written_down_before(forged, records):
    forged("DELETE FROM encounters_accessrecord WHERE number > 3")

    assert "3 access records, unbroken" in verify()
    lines, error = verify("--head", f"5:{records[-1].digest}")
    assert lines == ["Records 4 to 5 are missing at the end."]
    assert "1 problem" in error


def test_a_chain_that_was_computed_anew_is_found_by_a_head_written_down_before(records):
    assert "unbroken" in verify("--head", f"3:{records[2].digest}")

    lines, _ = verify("--head", f"3:{'a' * 64}")

    assert lines == ["Record 3 is not the one that was the head before."]


def test_a_missing_trigger_is_found(records):
    drop_triggers("access_record_delete")

    lines, _ = verify()

    assert lines == ["The trigger access_record_delete is missing."]


def test_a_head_is_a_number_and_a_digest():
    with pytest.raises(CommandError, match="NUMBER:DIGEST"):
        call_command("verify_audit", "--head", "5")


def test_the_head_is_logged_for_whoever_keeps_the_logs(records, log_lines):
    audit.log_head()

    assert '"number": 5' in log_lines()
    assert records[-1].digest in log_lines()


# From before there was a chain


@pytest.mark.django_db(transaction=True)
def test_records_from_before_are_chained_by_the_migration(records):
    drop_triggers()
    executor = MigrationExecutor(connection)
    try:
        executor.migrate([("encounters", "0001_initial")])
        executor = MigrationExecutor(connection)
    finally:
        executor.migrate(executor.loader.graph.leaf_nodes())
        append_only.install(connection)

    assert [record.at for record in AccessRecord.objects.all()] == [record.at for record in records]
    assert list(audit.problems()) == []
    assert records[-1].at - records[0].at < timedelta(minutes=1)
