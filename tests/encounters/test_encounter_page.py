"""The page of one encounter."""

import uuid

import pytest
from django.test import Client
from django.utils import timezone

from encounters.models import AccessRecord, Encounter, Verb
from tests.conftest import QUERIES_FOR_A_RECORD
from tests.encounters.support import make_renditions, make_video
from transcoding.models import Status

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def address(encounter):
    return f"/encounters/{encounter.reference}/"


def test_the_team_reads_it(staff_client, bobs_client, address, encounter):
    Encounter.objects.update(description="Worse in the morning.")

    for client in (staff_client, bobs_client):
        page = client.get(address).content.decode()
        for text in ("Quillfeather, Rosalind", "27 March 1958", "R-17", "film your gait", "Worse in the"):
            assert text in page


def test_looking_is_recorded(bobs_client, bob, address, encounter):
    bobs_client.get(address)

    record = AccessRecord.objects.get(verb=Verb.ENCOUNTER_VIEWED)
    assert (record.user, record.encounter, record.address) == (bob, encounter, "127.0.0.1")


def test_polling_is_not_recorded_again(staff_client, address):
    staff_client.get(address)
    staff_client.get(address, headers=HTMX)

    assert AccessRecord.objects.filter(verb=Verb.ENCOUNTER_VIEWED).count() == 1


def test_it_shows_each_video_but_those_removed(staff_client, encounter, address):
    shown = make_video(encounter, "IMG_0001.MOV", Status.QUEUED)
    removed = make_video(encounter, "IMG_0002.MOV", removed_at=timezone.now())

    page = staff_client.get(address).content.decode()

    assert f'id="video-{shown.pk}"' in page
    assert str(removed.pk) not in page


def test_polling_brings_only_videos_that_the_page_does_not_know(staff_client, encounter, address):
    known = make_video(encounter, "known", Status.QUEUED)
    arrived = make_video(encounter, "arrived", Status.QUEUED)

    page = staff_client.get(f"{address}?known={known.pk}", headers=HTMX).content.decode()

    assert f'id="video-{arrived.pk}"' in page
    assert f'id="video-{known.pk}"' not in page
    assert "<html" not in page
    assert "Quillfeather" not in page


def test_polling_with_nonsense_does_no_harm(staff_client, encounter, address):
    video = make_video(encounter, "arrived", Status.QUEUED)

    page = staff_client.get(f"{address}?known=nonsense&known={uuid.uuid4()}&known=", headers=HTMX)

    assert page.status_code == 200
    assert str(video.pk) in page.content.decode()


def test_a_name_of_a_file_is_shown_as_text(staff_client, encounter, address):
    make_video(encounter, '"><img src=x onerror=alert(1)>.mov', Status.QUEUED)

    page = staff_client.get(address).content.decode()

    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;.mov" in page


@pytest.mark.parametrize("count", [1, 20])
def test_it_asks_the_database_as_often_for_twenty_videos_as_for_one(
    staff_client, encounter, address, django_assert_num_queries, count
):
    for number in range(count):
        make_renditions(make_video(encounter, f"{number}", Status.SUCCEEDED))
    staff_client.get(address)

    with django_assert_num_queries(10 + QUERIES_FOR_A_RECORD):
        staff_client.get(address)


# Who may not


def test_charlie_finds_no_such_page_and_an_admin_is_asked_why(charlies_client, admin_client, address):
    assert charlies_client.get(address).status_code == 404
    assert charlies_client.get(address, headers=HTMX).status_code == 404
    assert admin_client.get(address).status_code == 403
    assert not AccessRecord.objects.filter(verb=Verb.ENCOUNTER_VIEWED).exists()


def test_who_has_not_signed_in_is_asked_to(address):
    answer = Client().get(address)

    assert (answer.status_code, answer.url) == (302, f"/accounts/login/?next={address}")


def test_a_patient_s_session_opens_no_staff_page(consenting_client, address):
    assert consenting_client.get(address).status_code == 302


def test_an_erased_encounter_is_gone(staff_client, address):
    Encounter.objects.update(erased_at=timezone.now())

    assert staff_client.get(address).status_code == 410


def test_what_is_not_there_is_not_found(staff_client):
    assert staff_client.get("/encounters/0123456789abcdef/").status_code == 404


def test_it_is_only_looked_at(staff_client, address):
    assert staff_client.post(address).status_code == 405
