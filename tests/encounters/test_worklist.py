"""The worklist: the encounters of one's teams."""

import pytest
from django.test import Client
from django.utils import timezone

from encounters.callers import Caller
from encounters.encounters import open_encounter
from encounters.models import Encounter, Patient
from tests.conftest import BIRTH_DATE, signed_in
from tests.encounters.support import make_video
from transcoding.models import Status

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def many(alice, team):
    """`many(20)`: so many encounters, each with two videos."""

    def make(count):
        for number in range(count):
            patient = Patient(
                record_number=f"M-{number}", given_name="Odo", family_name=f"Pennywhistle {number}",
                birth_date=BIRTH_DATE,
            )  # fmt: skip
            encounter = open_encounter(
                caller=Caller(user=alice), team=team, patient=patient, what_to_film="x"
            )
            make_video(encounter, f"{number} a", Status.SUCCEEDED)
            make_video(encounter, f"{number} b", Status.QUEUED)

    return make


def test_the_whole_team_sees_its_encounters(staff_client, bobs_client, encounter):
    for client in (staff_client, bobs_client):
        page = client.get("/").content.decode()
        assert "Quillfeather, Rosalind" in page
        assert f"/encounters/{encounter.reference}/" in page


def test_a_row_says_what_has_arrived(staff_client, encounter):
    make_video(encounter, "arrived", Status.SUCCEEDED)
    make_video(encounter, "refused", Status.FAILED)
    make_video(encounter, "on its way")
    make_video(encounter, "removed", Status.SUCCEEDED, removed_at=timezone.now())

    answer = staff_client.get("/")

    (row,) = answer.context["page"]
    assert row.video_count == 2
    assert "Videos arrived" in answer.content.decode()


def test_the_newest_comes_first(staff_client, many):
    many(3)

    rows = [row.patient.family_name for row in staff_client.get("/").context["page"]]

    assert rows == ["Pennywhistle 2", "Pennywhistle 1", "Pennywhistle 0"]


def test_one_state_can_be_asked_for(staff_client, encounter, many):
    many(1)

    draft = staff_client.get("/?state=draft")
    arrived = staff_client.get("/?state=arrived")

    assert [row.pk for row in draft.context["page"]] == [encounter.pk]
    assert [row.patient.family_name for row in arrived.context["page"]] == ["Pennywhistle 0"]
    assert "Nothing here" in staff_client.get("/?state=closed").content.decode()
    assert len(staff_client.get("/?state=nonsense").context["page"]) == 2


def test_an_empty_worklist_says_what_to_do(staff_client):
    assert "No encounters yet" in staff_client.get("/").content.decode()


@pytest.mark.parametrize("count", [1, 20])
def test_it_asks_the_database_as_often_for_twenty_rows_as_for_one(
    staff_client, many, django_assert_num_queries, count
):
    many(count)
    staff_client.get("/")  # the first page of a session notes when it began

    with django_assert_num_queries(4):
        staff_client.get("/")


def test_it_has_pages(staff_client, many):
    many(51)

    assert len(staff_client.get("/").context["page"]) == 50
    assert len(staff_client.get("/?page=2").context["page"]) == 1
    assert len(staff_client.get("/?page=nonsense").context["page"]) == 50


def test_polling_gets_the_rows_alone(staff_client, encounter):
    page = staff_client.get("/", headers=HTMX).content.decode()

    assert "Quillfeather" in page
    assert "<html" not in page


# Who may not


def test_charlie_sees_nothing_of_it(charlies_client, encounter):
    for address in ("/", "/?state=draft"):
        page = charlies_client.get(address)
        assert page.status_code == 200
        assert "Quillfeather" not in page.content.decode()
        assert encounter.reference not in page.content.decode()


def test_an_admin_is_led_to_the_conversions(admin_client, encounter):
    answer = admin_client.get("/")

    assert (answer.status_code, answer.url) == (302, "/conversions/")


def test_who_has_not_signed_in_is_asked_to(encounter):
    answer = Client().get("/")

    assert (answer.status_code, answer.url) == (302, "/accounts/login/?next=/")


def test_who_left_the_team_sees_nothing_any_more(bob, encounter):
    bob.teams.clear()

    assert "Quillfeather" not in signed_in(bob).get("/").content.decode()


def test_an_erased_encounter_is_gone(staff_client, encounter):
    Encounter.objects.update(erased_at=timezone.now())

    assert "Quillfeather" not in staff_client.get("/").content.decode()


def test_it_is_only_looked_at(staff_client):
    assert staff_client.post("/").status_code == 405
