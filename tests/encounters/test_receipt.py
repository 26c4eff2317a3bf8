"""The end of a patient's visit: where they left off, the last button, the receipt."""

import re

import pytest
from django.test import Client

from encounters.models import AccessRecord, Encounter, Verb
from tests.encounters.support import announce, make_renditions, make_video
from transcoding.models import Status

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


def test_the_last_button_leads_to_the_receipt(consenting_client, encounter):
    make_video(encounter, "IMG_0042.MOV", Status.QUEUED)

    answer = consenting_client.post("/send/finish/")

    assert (answer.status_code, answer.url) == (302, "/send/receipt/")
    assert Encounter.objects.get().submitted_at
    assert AccessRecord.objects.filter(verb=Verb.SUBMITTED).count() == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.QUEUED, "Received. We are checking that it plays"),
        (Status.RUNNING, "Received. We are checking that it plays"),
        (Status.SUCCEEDED, "Received and checked. Your clinic can watch it."),
        (Status.FAILED, "Part of this video is missing or broken."),
        (Status.CANCELLED, "Received. Your clinic stopped preparing it."),
    ],
)
def test_each_state_has_its_words(consenting_client, encounter, status, words):
    make_video(encounter, "IMG_0042.MOV", status)

    page = consenting_client.get("/send/receipt/").content.decode()

    assert words in page
    assert "IMG_0042.MOV" in page


def steps_done(page):
    return re.findall(r"steps__step--done\">([A-Za-z ]*[a-z])", page)


@pytest.mark.parametrize(
    ("status", "done"),
    [
        (Status.QUEUED, ["Received"]),
        (Status.RUNNING, ["Received"]),
        (Status.FAILED, ["Received"]),
        (Status.SUCCEEDED, ["Received", "Checked", "Your clinic can watch it"]),
    ],
)
def test_it_shows_how_far_each_video_is(consenting_client, encounter, status, done):
    make_video(encounter, "IMG_0042.MOV", status)

    page = consenting_client.get("/send/receipt/").content.decode()

    assert steps_done(page) == done
    assert ("please send it again" in page) == (status == Status.FAILED)


@pytest.mark.usefixtures("store")
def test_what_was_refused_before_it_was_sent_is_not_called_received(consenting_client):
    announce(consenting_client, filename="letter.pdf", type="application/pdf")

    page = consenting_client.get("/send/receipt/").content.decode()

    assert steps_done(page) == []
    assert "Not received" in page


def test_it_says_when_the_clinician_has_watched_it(consenting_client, staff_client, encounter):
    make_renditions(make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED))
    make_video(encounter, "IMG_0043.MOV", Status.SUCCEEDED)
    staff_client.get(f"/videos/{encounter.videos.first().pk}/play")

    page = consenting_client.get("/send/receipt/").content.decode()

    assert steps_done(page).count("Seen by your clinic") == 1
    assert "Your clinic has watched it." in page.split("IMG_0042.MOV")[1].split("IMG_0043.MOV")[0]


def test_what_came_before_the_review_was_seen_and_what_came_after_was_not(
    consenting_client, staff_client, encounter
):
    make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)
    staff_client.post(f"/encounters/{encounter.reference}/review/")
    make_video(encounter, "IMG_0043.MOV", Status.SUCCEEDED)

    page = consenting_client.get("/send/receipt/").content.decode()

    assert steps_done(page).count("Seen by your clinic") == 1
    assert "Seen" in page


@pytest.mark.parametrize(
    ("status", "polls"),
    [
        (Status.QUEUED, True),
        (Status.RUNNING, True),
        (Status.SUCCEEDED, False),
        (Status.FAILED, False),
        (Status.CANCELLED, False),
    ],
)
def test_it_polls_until_every_state_is_final(consenting_client, encounter, status, polls):
    make_video(encounter, "done", Status.SUCCEEDED)
    make_video(encounter, "IMG_0042.MOV", status)

    page = consenting_client.get("/send/receipt/", headers=HTMX).content.decode()

    assert ("hx-trigger" in page) == polls
    assert "<html" not in page


@pytest.mark.parametrize("count", [1, 20])
def test_it_asks_the_database_as_often_for_twenty_videos_as_for_one(
    consenting_client, encounter, django_assert_num_queries, count
):
    for number in range(count):
        make_video(encounter, f"{number}", Status.QUEUED)

    with django_assert_num_queries(4):
        consenting_client.get("/send/receipt/")


def test_it_thanks(consenting_client, encounter):
    make_video(encounter, "one", Status.SUCCEEDED)
    make_video(encounter, "two", Status.FAILED)

    assert "Thank you." in consenting_client.get("/send/receipt/").content.decode()


def test_if_nothing_can_be_read_it_asks_for_another(consenting_client, encounter):
    make_video(encounter, "one", Status.FAILED)

    page = consenting_client.get("/send/receipt/").content.decode()

    assert "Please send your video again" in page
    assert "Thank you." not in page.split("<main")[1]


def test_an_upload_that_never_ended_is_not_on_it(consenting_client, encounter):
    make_video(encounter, "IMG_0042.MOV")

    page = consenting_client.get("/send/receipt/").content.decode()

    assert "IMG_0042.MOV" not in page
    assert "No videos yet" in page


def test_it_names_nobody(consenting_client):
    page = consenting_client.get("/send/receipt/").content.decode()

    for private in ("Rosalind", "Quillfeather", "1958", "R-17"):
        assert private not in page


def test_the_patient_goes_on_where_they_left_off(consenting_client, encounter):
    def next_step():
        return consenting_client.get("/send/").url

    assert next_step() == "/send/description/"
    consenting_client.post("/send/description/", {"description": "My hand shakes."})
    assert next_step() == "/send/videos/"
    consenting_client.post("/send/finish/")
    assert next_step() == "/send/receipt/"


def test_the_page_for_sending_shows_what_was_sent(consenting_client, encounter):
    make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)
    make_video(encounter, "IMG_0043.MOV", Status.FAILED)

    page = consenting_client.get("/send/videos/").content.decode()

    assert "IMG_0042.MOV" in page
    assert "Part of this video is missing or broken." in page
    assert 'accept="video/*"' in page
    assert 'data-api="/uploads/"' in page


def test_another_patient_s_videos_are_not_on_it(other_patient_client, encounter):
    make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)

    for path in ("/send/receipt/", "/send/videos/"):
        assert "IMG_0042.MOV" not in other_patient_client.get(path).content.decode()


def test_without_consent_nothing_is_submitted(patient_client):
    patient_client.post("/send/finish/")

    assert Encounter.objects.get().submitted_at is None


def test_nobody_else_submits(charlies_client, encounter):
    assert Client().post("/send/finish/").status_code == 403
    assert charlies_client.post("/send/finish/").status_code == 403
    assert Encounter.objects.get().submitted_at is None


def test_it_needs_a_post_and_the_csrf_token(strict_client):
    assert strict_client.get("/send/finish/").status_code == 405
    assert strict_client.post("/send/finish/").status_code == 403
    assert Encounter.objects.get().submitted_at is None
