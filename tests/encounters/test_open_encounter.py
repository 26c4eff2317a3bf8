"""A clinician opens an encounter for a patient."""

import re
from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from encounters.models import AccessRecord, Encounter, EncounterState, Patient, Verb
from tests.conftest import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def answers(team):
    """What somebody types into the form."""
    return {
        "team": team.pk,
        "record_number": "R-99",
        "given_name": "Cordelia",
        "family_name": "Featherstonehaugh",
        "birth_date": "1944-12-31",
        "mobile": "07700 900123",
        "email": "cordelia@featherstonehaugh.example",
        "what_to_film": "Please film how you stand up.",
    }


def test_a_clinician_opens_one_for_a_new_patient(staff_client, alice, team, answers):
    answer = staff_client.post("/encounters/new/", answers)

    encounter = Encounter.objects.get()
    assert (answer.status_code, answer.url) == (302, f"/encounters/{encounter.reference}/")
    assert (encounter.team, encounter.created_by, encounter.state) == (team, alice, EncounterState.DRAFT)
    assert encounter.what_to_film == "Please film how you stand up."
    assert (encounter.patient.team, encounter.patient.name) == (team, "Cordelia Featherstonehaugh")
    assert encounter.patient.birth_date == date(1944, 12, 31)
    assert re.fullmatch(r"[0-9a-f]{11,}", encounter.reference)
    assert AccessRecord.objects.get(verb=Verb.ENCOUNTER_CREATED).user == alice


def test_a_second_one_for_the_same_patient_adds_no_patient(staff_client, answers):
    staff_client.post("/encounters/new/", answers)
    staff_client.post("/encounters/new/", {**answers, "what_to_film": "Once more."})

    assert Encounter.objects.count() == 2
    assert Patient.objects.count() == 1
    assert len(set(Encounter.objects.values_list("reference", flat=True))) == 2


def test_a_known_patient_s_new_name_is_kept(staff_client, answers):
    staff_client.post("/encounters/new/", answers)
    staff_client.post("/encounters/new/", {**answers, "family_name": "Smith-Featherstonehaugh"})

    assert Patient.objects.get().family_name == "Smith-Featherstonehaugh"


def test_contacts_left_empty_are_not_forgotten(staff_client, answers):
    staff_client.post("/encounters/new/", answers)
    staff_client.post("/encounters/new/", {**answers, "email": "", "mobile": ""})

    patient = Patient.objects.get()
    assert (patient.email, patient.mobile) == ("cordelia@featherstonehaugh.example", "+447700900123")


def test_the_same_record_number_in_another_team_is_another_patient(
    staff_client, charlies_client, other_team, answers
):
    staff_client.post("/encounters/new/", answers)
    charlies_client.post("/encounters/new/", {**answers, "team": other_team.pk, "birth_date": "1999-01-01"})

    assert [patient.record_number for patient in Patient.objects.all()] == ["R-99", "R-99"]


def test_what_is_optional_may_be_left_out(staff_client, answers):
    staff_client.post("/encounters/new/", {**answers, "mobile": "", "email": ""})

    assert Encounter.objects.get().patient.email == ""


def test_with_one_team_nothing_is_asked_about_it(staff_client, team):
    page = staff_client.get("/encounters/new/").content.decode()

    assert re.search(rf'<input type="hidden" name="team" value="{team.pk}"', page)


def test_with_two_teams_the_clinician_chooses(staff_client, alice, other_team):
    alice.teams.add(other_team)

    assert '<select name="team"' in staff_client.get("/encounters/new/").content.decode()


# Who may not


def test_who_has_not_signed_in_is_asked_to(answers):
    answer = Client().post("/encounters/new/", answers)

    assert (answer.status_code, answer.url) == (302, "/accounts/login/?next=/encounters/new/")
    assert not Encounter.objects.exists()


def test_charlie_cannot_open_one_in_another_team(charlies_client, answers):
    answer = charlies_client.post("/encounters/new/", answers)

    assert answer.status_code == 200
    assert "team" in answer.context["form"].errors
    assert not Encounter.objects.exists()
    assert not Patient.objects.exists()


def test_an_admin_opens_none(admin_client, answers):
    answer = admin_client.post("/encounters/new/", answers)

    assert answer.status_code == 404
    assert not Encounter.objects.exists()


def test_a_clinician_in_no_team_is_told_what_to_do(admin_client, django_user_model):
    newcomer = django_user_model.objects.create_user("new@clinic.example", "a long password", name="New")

    page = signed_in(newcomer).get("/encounters/new/").content.decode()

    assert "You are in no team yet" in page
    assert "<form" not in page.split("<main")[1]


def test_the_csrf_token_is_needed(alice, answers):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    assert strict.post("/encounters/new/", answers).status_code == 403
    assert not Encounter.objects.exists()


# Bad input


@pytest.mark.parametrize(
    "field", ["team", "record_number", "given_name", "family_name", "birth_date", "what_to_film"]
)
def test_what_is_needed_is_asked_for(staff_client, answers, field):
    answer = staff_client.post("/encounters/new/", {**answers, field: ""})

    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert not Encounter.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("birth_date", (timezone.localdate() + timedelta(days=1)).isoformat()),
        ("birth_date", "1800-01-01"),
        ("birth_date", "yesterday"),
        ("birth_date", "1999-02-30"),
        ("mobile", "ring me"),
        ("mobile", "12345"),
        ("mobile", "020 7946 0018"),
        ("mobile", "+44 7700 900123 4567"),
        ("email", "cordelia"),
        ("team", "9999"),
        ("team", "nonsense"),
        ("record_number", "9" * 41),
        ("what_to_film", "x" * 2001),
    ],
)
def test_what_cannot_be_is_marked(staff_client, answers, field, value):
    answer = staff_client.post("/encounters/new/", {**answers, field: value})

    assert answer.status_code == 200
    assert field in answer.context["form"].errors
    assert not Encounter.objects.exists()


def test_a_record_number_of_somebody_with_another_birth_date_is_refused(staff_client, answers):
    staff_client.post("/encounters/new/", answers)

    answer = staff_client.post(
        "/encounters/new/", {**answers, "birth_date": "1945-01-01", "family_name": "Somebody"}
    )

    assert "belongs to a patient with another date of birth" in answer.content.decode()
    assert Encounter.objects.count() == 1
    assert Patient.objects.get().family_name == "Featherstonehaugh"


def test_a_known_patient_s_row_stays_as_it_was_if_anything_is_wrong(staff_client, answers):
    staff_client.post("/encounters/new/", answers)

    staff_client.post("/encounters/new/", {**answers, "family_name": "Somebody", "what_to_film": ""})

    assert Patient.objects.get().family_name == "Featherstonehaugh"


def test_what_was_typed_is_shown_as_text(staff_client, answers):
    answer = staff_client.post(
        "/encounters/new/", {**answers, "what_to_film": "<script>alert(1)</script>"}, follow=True
    )

    page = answer.content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
