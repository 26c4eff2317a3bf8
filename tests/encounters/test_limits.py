"""What one link may send: how many videos, how many bytes, how many within an hour."""

from datetime import timedelta

import pytest
from django.utils import timezone

from encounters.models import Video
from tests.encounters.support import CONTENT, announce, make_video, send
from transcoding.models import Status

MIB = 1024**2
pytestmark = pytest.mark.usefixtures("store")


def test_all_videos_together_may_be_so_large(consenting_client, encounter, settings):
    settings.UPLOAD_MAX_TOTAL_BYTES = 10 * MIB
    make_video(encounter, "one", Status.SUCCEEDED, size=6 * MIB)
    make_video(encounter, "two", size=3 * MIB)

    fits = announce(consenting_client, size=MIB)
    too_much = announce(consenting_client, b"another", size=1)

    assert fits.status_code == 201
    assert (too_much.status_code, too_much.json()["code"]) == (409, "too_much")


def test_what_was_removed_or_never_taken_counts_for_nothing(consenting_client, encounter, settings):
    settings.UPLOAD_MAX_TOTAL_BYTES = 10 * MIB
    make_video(encounter, "gone", size=9 * MIB, removed_at=timezone.now())
    announce(consenting_client, b"a letter", size=9 * MIB, filename="letter.pdf", type="application/pdf")

    assert announce(consenting_client, size=9 * MIB).status_code == 201


def test_what_was_begun_before_is_continued_beyond_the_limits(consenting_client, settings):
    upload = announce(consenting_client).json()["id"]
    settings.UPLOAD_MAX_TOTAL_BYTES = 1
    settings.UPLOAD_MAX_VIDEOS = 0
    settings.UPLOAD_STARTS_PER_HOUR = 0

    answer = announce(consenting_client)

    assert (answer.status_code, answer.json()["id"]) == (201, upload)


def test_so_many_are_begun_within_an_hour(consenting_client, settings, monkeypatch):
    settings.UPLOAD_STARTS_PER_HOUR = 3
    send(consenting_client)
    announce(consenting_client, b"refused", filename="letter.pdf", type="application/pdf")
    stopped = announce(consenting_client, b"stopped").json()["id"]
    consenting_client.delete(f"/uploads/{stopped}/")

    answer = announce(consenting_client, b"the fourth")

    assert (answer.status_code, answer.json()["code"]) == (429, "too_fast")
    assert Video.objects.count() == 3
    in_an_hour = timezone.now() + timedelta(minutes=61)
    monkeypatch.setattr("encounters.offers.timezone.now", lambda: in_an_hour)
    assert announce(consenting_client, b"the fourth").status_code == 201


def test_staff_are_not_slowed_down(bobs_client, encounter, settings):
    settings.UPLOAD_STARTS_PER_HOUR = 0

    assert announce(bobs_client, CONTENT, encounter=encounter.reference).status_code == 201
