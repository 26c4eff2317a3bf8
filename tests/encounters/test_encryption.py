"""What identifies a patient is encrypted before the database sees it."""

from datetime import date

import pytest
from django.core.checks import run_checks
from django.core.exceptions import FieldError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from encounters import append_only, encryption
from encounters.callers import Caller
from encounters.encounters import open_encounter
from encounters.encryption import CannotDecrypt, decrypt, encrypt
from encounters.models import Encounter, Patient, Video
from tests.conftest import drop_triggers, give_birth_date
from tests.encounters.support import announce, database_file, everything_stored, make_video

SECRETS = {name: name * 40 for name in "abc"}
BEFORE = ("encounters", "0005_erasure")


@pytest.fixture
def keys(settings):
    """`keys("b", "a")`: these are given, the first is the present one."""

    def give(*names):
        settings.FIELD_KEYS = {name: SECRETS[name] for name in names}

    return give


@pytest.fixture
def written(alice, team):
    """An encounter full of words that stand nowhere else."""
    patient = Patient(
        record_number="ZQ-48151", given_name="Zephyrine", family_name="Oakhollow-Brandt",
        birth_date=date(1923, 4, 19), mobile="+44 7700 948151", email="zephyrine@oakhollow.example",
    )  # fmt: skip
    encounter = open_encounter(
        caller=Caller(user=alice), team=team, patient=patient, what_to_film="Your tremblequake, please."
    )
    Encounter.objects.filter(pk=encounter.pk).update(description="It wobblethumps at night.")
    make_video(encounter, "oakhollow-bathroom.mov", fingerprint="0" * 64)
    return encounter


WRITTEN = (
    "zq-48151", "zephyrine", "oakhollow", "1923-04-19", "948151", "tremblequake", "wobblethumps", "bathroom",
)  # fmt: skip


def found_in(text):
    return [word for word in WRITTEN if word in text.lower()]


# A value


def test_it_is_read_as_it_was_written(keys):
    keys("a")

    for text in ("Rosalind", "Ólafur Þór", "x" * 4000, "enc:a:not really"):
        assert decrypt(encrypt(text, place="t.c"), place="t.c") == text


def test_equal_values_look_different_and_nothing_stays_nothing(keys):
    keys("a")

    assert encrypt("Rosalind", place="t.c") != encrypt("Rosalind", place="t.c")
    assert encrypt("", place="t.c") == decrypt("", place="t.c") == ""


def test_an_older_key_still_reads_and_the_first_one_writes(keys):
    keys("a")
    old = encrypt("Rosalind", place="t.c")
    keys("b", "a")

    assert decrypt(old, place="t.c") == "Rosalind"
    assert encryption.key_of(encrypt("Rosalind", place="t.c")) == "b"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda stored: stored.replace("enc:a:", "enc:c:"), id="unknown key"),
        pytest.param(lambda stored: stored.replace("enc:a:", "enc:b:"), id="another key"),
        pytest.param(lambda stored: stored[:-8] + "AAAAAAA=", id="changed"),
        pytest.param(lambda stored: stored[:12], id="cut off"),
        pytest.param(lambda stored: "Rosalind", id="never encrypted"),
    ],
)
def test_what_cannot_be_read_is_loud_and_logs_no_value(keys, spoil, log_lines):
    keys("a", "b")
    stored = spoil(encrypt("Rosalind", place="t.c"))

    with pytest.raises(CannotDecrypt):
        decrypt(stored, place="t.c")

    assert "cannot decrypt" in log_lines()
    assert "Rosalind" not in log_lines()


def test_a_value_cannot_be_moved_to_another_column(keys):
    keys("a")

    with pytest.raises(CannotDecrypt):
        decrypt(encrypt("Rosalind", place="t.given_name"), place="t.family_name")


# A row


@pytest.mark.django_db
def test_code_sees_what_people_typed(written):
    patient = Patient.objects.get()

    assert patient.name == "Zephyrine Oakhollow-Brandt"
    assert (patient.birth_date, patient.mobile) == (date(1923, 4, 19), "+44 7700 948151")
    assert Encounter.objects.get().description == "It wobblethumps at night."
    assert Video.objects.values_list("original_name", flat=True)[0] == "oakhollow-bathroom.mov"


@pytest.mark.django_db(transaction=True)
def test_neither_rows_nor_file_hold_what_identifies_a_patient(written, link):
    client = Client()
    give_birth_date(client, link)
    client.post("/send/consent/", {"diagnosis": "on"})
    client.post("/send/description/", {"description": "Still it wobblethumps."})
    announce(client, filename="oakhollow-garden.exe")

    assert found_in(everything_stored()) == []
    assert found_in(database_file().decode("latin-1")) == []


@pytest.mark.django_db
@pytest.mark.parametrize("lookup", ["given_name", "given_name__startswith", "birth_date__year", "email__in"])
def test_the_database_is_not_asked_what_it_cannot_know(lookup):
    with pytest.raises(FieldError):
        Patient.objects.filter(**{lookup: "x"}).exists()


@pytest.mark.django_db
def test_a_missing_key_is_a_sentence_and_not_a_trace(keys, written, staff_client):
    keys("c")

    answer = staff_client.get(f"/encounters/{written.reference}/")

    assert answer.status_code == 500
    assert "cannot be read with the keys" in answer.content.decode()


# The check


def problems():
    return [
        problem.id for problem in run_checks(databases=["default"]) if problem.id.startswith("encounters.")
    ]


@pytest.mark.django_db
def test_a_key_that_is_missing_or_wrong_is_found_before_anything_starts(keys, written, settings):
    assert problems() == []
    held = settings.FIELD_KEYS

    keys("c")
    assert set(problems()) == {"encounters.E002"}

    settings.FIELD_KEYS = dict.fromkeys(held, "w" * 40)
    assert set(problems()) == {"encounters.E002"}

    settings.FIELD_KEYS, settings.FIELD_INDEX_KEYS = held, {"c": SECRETS["c"]}
    assert problems() == ["encounters.E003"]


def test_one_secret_for_two_things_is_an_error(settings):
    settings.FIELD_KEYS = {"a": SECRETS["a"]}
    settings.FIELD_INDEX_KEYS = {"b": SECRETS["a"]}

    assert "encounters.E001" in [problem.id for problem in run_checks()]


# Rows from before


@pytest.mark.django_db(transaction=True)
def test_rows_from_before_are_encrypted_by_the_migration_and_readable_again_backwards(written):
    index = Patient.objects.get().record_number_index
    drop_triggers()
    executor = MigrationExecutor(connection)
    try:
        executor.migrate([BEFORE])
        assert {"zq-48151", "zephyrine", "wobblethumps", "bathroom"} <= set(found_in(everything_stored()))
        executor = MigrationExecutor(connection)
    finally:
        executor.migrate(executor.loader.graph.leaf_nodes())
        append_only.install(connection)

    assert found_in(everything_stored()) == []
    assert found_in(database_file().decode("latin-1")) == []
    patient = Patient.objects.get()
    assert (patient.name, patient.birth_date) == ("Zephyrine Oakhollow-Brandt", date(1923, 4, 19))
    assert patient.record_number_index == index
    assert Patient.objects.found_by("oakhol", [patient.team_id]).exists()
