"""A video's card, on the encounter's page and alone, and the page of one video."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from encounters.models import Video, VideoState
from tests.encounters.support import make_renditions, make_video
from transcoding.models import Status, TranscodeJob

HTMX = {"HX-Request": "true"}
STATUSES = {
    VideoState.UPLOADING: None,
    VideoState.WAITING: Status.QUEUED,
    VideoState.CONVERTING: Status.RUNNING,
    VideoState.READY: Status.SUCCEEDED,
    VideoState.FAILED: Status.FAILED,
    VideoState.CANCELLED: Status.CANCELLED,
}
WORDS = {
    VideoState.UPLOADING: "The patient is sending this video",
    VideoState.WAITING: "Waiting to be converted.",
    VideoState.CONVERTING: "Converting, 42 % done.",
    VideoState.READY: "<video",
    VideoState.FAILED: "Part of this video is missing or broken.",
    VideoState.CANCELLED: "Conversion stopped.",
}
pytestmark = pytest.mark.django_db


@pytest.fixture
def card(staff_client, encounter):
    """`card(state)`: the card of a video in this state, as polling brings it."""

    def render(state):
        video = make_video(encounter, "IMG_0042.MOV", STATUSES[state])
        TranscodeJob.objects.update(progress=0.42)
        if state == VideoState.READY:
            make_renditions(video)
        return staff_client.get(f"/videos/{video.pk}/", headers=HTMX).content.decode()

    return render


@pytest.mark.parametrize("state", STATUSES)
def test_each_state_is_said_in_words(card, state):
    page = card(state)

    assert f'data-state="{state}"' in page
    assert WORDS[state] in page
    assert "IMG_0042.MOV" in page
    assert "<html" not in page


@pytest.mark.parametrize(
    ("state", "polls"),
    [
        (VideoState.UPLOADING, True),
        (VideoState.WAITING, True),
        (VideoState.CONVERTING, True),
        (VideoState.READY, False),
        (VideoState.FAILED, False),
        (VideoState.CANCELLED, False),
    ],
)
def test_it_polls_until_its_state_is_final(card, state, polls):
    page = card(state)

    assert ("hx-get" in page, "hx-trigger" in page) == (polls, polls)


def test_an_upload_that_stands_still_is_said_to_be_interrupted(staff_client, encounter):
    began = timezone.now() - timedelta(days=2)
    video = make_video(encounter, "IMG_0042.MOV")
    Video.objects.update(created_at=began, active_at=began)

    page = staff_client.get(f"/videos/{video.pk}/", headers=HTMX).content.decode().replace("\xa0", " ")

    assert "Interrupted: nothing has come for 2 days." in page
    assert "is sending" not in page


def test_a_ready_one_is_a_player(card):
    page = " ".join(card(VideoState.READY).split())

    assert 'controls playsinline preload="none" width="160" height="120"' in page
    assert "/poster" in page
    assert "/play" in page
    assert "1:05" in page


@pytest.mark.parametrize("state", set(STATUSES) - {VideoState.READY})
def test_no_other_state_has_a_player(card, state):
    assert "<video" not in card(state)


def test_a_failed_one_shows_its_code(card):
    assert "<code>damaged</code>" in card(VideoState.FAILED)


def test_a_removed_one_says_so_and_polls_no_more(staff_client, encounter):
    video = make_video(encounter, "x", removed_at=timezone.now())

    page = staff_client.get(f"/videos/{video.pk}/", headers=HTMX).content.decode()

    assert "Removed." in page
    assert "hx-trigger" not in page


def test_the_team_opens_the_page_of_one_video(staff_client, bobs_client, encounter):
    video = make_video(encounter, "IMG_0042.MOV", Status.QUEUED)

    for client in (staff_client, bobs_client):
        page = client.get(f"/videos/{video.pk}/").content.decode()
        assert "<html" in page
        assert f'id="video-{video.pk}"' in page


def test_charlie_and_an_admin_find_no_such_page(charlies_client, admin_client, encounter):
    video = make_video(encounter, "IMG_0042.MOV", Status.QUEUED)

    for headers in ({}, HTMX):
        assert charlies_client.get(f"/videos/{video.pk}/", headers=headers).status_code == 404
        assert admin_client.get(f"/videos/{video.pk}/", headers=headers).status_code == 404


def test_who_has_not_signed_in_is_asked_to(encounter, consenting_client):
    video = make_video(encounter, "IMG_0042.MOV", Status.QUEUED)

    for client in (Client(), consenting_client):
        answer = client.get(f"/videos/{video.pk}/")
        assert (answer.status_code, answer.url) == (302, f"/accounts/login/?next=/videos/{video.pk}/")


def test_a_card_whose_session_has_ended_sends_the_whole_page_to_sign_in(encounter):
    video = make_video(encounter, "IMG_0042.MOV", Status.QUEUED)
    page = f"http://testserver/encounters/{encounter.reference}/"

    answer = Client().get(f"/videos/{video.pk}/", headers={**HTMX, "HX-Current-URL": page})

    assert answer.headers["HX-Redirect"] == f"/accounts/login/?next=/encounters/{encounter.reference}/"
    assert answer.content == b""
