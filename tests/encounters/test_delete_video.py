"""Deleting a video: gone from sight at once, erased after a day, and back with a click until then."""

from datetime import timedelta

import pytest
from django.utils import timezone

from encounters import erasure
from encounters.disposal import Erasure
from encounters.models import AccessRecord, Verb, Video, VideoState
from tests.encounters.support import make_renditions, make_video
from transcoding.models import Status

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def video(encounter, store):
    found = make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)
    make_renditions(found)
    store.put(found.source_key, b"film", "video/quicktime")
    return found


def page_of(client, video):
    return " ".join(client.get(f"/encounters/{video.encounter.reference}/").content.decode().split())


def test_it_is_seen_no_more_and_says_until_when_it_comes_back(staff_client, alice, video, store):
    answer = staff_client.post(f"/videos/{video.pk}/delete/", headers=HTMX)

    assert "Deleted by Alice" in answer.content.decode()
    assert Video.objects.get().state == VideoState.DELETED
    page = page_of(staff_client, video)
    assert "It will be erased on" in page
    assert "Undo" in page
    assert "<video" not in page
    for path in ("play", "poster", "live.mp4"):
        assert staff_client.get(f"/videos/{video.pk}/{path}").status_code == 404
    assert AccessRecord.objects.get(verb=Verb.VIDEO_DELETED).user == alice
    assert erasure.run() == {"erased": 0, "left": 0}
    assert list(store.keys()) == [video.source_key]


def test_it_is_asked_for_twice(staff_client, video):
    """A summary to open first, then a button."""
    page = page_of(staff_client, video)

    assert page.index("<summary>Delete this video</summary>") < page.index("Delete it</button>")


def test_it_can_be_undone_by_a_colleague(staff_client, bobs_client, bob, video):
    staff_client.post(f"/videos/{video.pk}/delete/")
    bobs_client.post(f"/videos/{video.pk}/delete/", {"undo": "1"})

    assert Video.objects.get().state == VideoState.READY
    assert not Erasure.objects.exists()
    assert "<video" in page_of(staff_client, video)
    assert AccessRecord.objects.get(verb=Verb.VIDEO_RESTORED).user == bob


def test_twice_is_once(staff_client, video):
    for undo in ({}, {}, {"undo": "1"}, {"undo": "1"}):
        assert staff_client.post(f"/videos/{video.pk}/delete/", undo).status_code == 302

    assert AccessRecord.objects.filter(verb=Verb.VIDEO_DELETED).count() == 1
    assert AccessRecord.objects.filter(verb=Verb.VIDEO_RESTORED).count() == 1


def test_after_a_day_it_is_erased_and_does_not_come_back(staff_client, video, store):
    staff_client.post(f"/videos/{video.pk}/delete/")
    Erasure.objects.update(not_before=timezone.now(), next_try_at=timezone.now())

    assert staff_client.post(f"/videos/{video.pk}/delete/", {"undo": "1"}).status_code == 409
    assert erasure.run() == {"erased": 1, "left": 0}
    assert list(store.keys()) == []
    assert "Erased on" in page_of(staff_client, video)
    assert staff_client.post(f"/videos/{video.pk}/delete/", {"undo": "1"}).status_code == 409


def test_the_day_is_a_day(staff_client, video):
    staff_client.post(f"/videos/{video.pk}/delete/")

    grace = Erasure.objects.get().not_before - timezone.now()
    assert timedelta(hours=23, minutes=55) < grace <= timedelta(days=1)


def test_what_is_deleted_takes_no_place_in_the_worklist(staff_client, video):
    staff_client.post(f"/videos/{video.pk}/delete/")

    assert "Videos arrived</span>" not in staff_client.get("/").content.decode()


def test_the_patient_s_receipt_shows_it_no_more(staff_client, consenting_client, video):
    staff_client.post(f"/videos/{video.pk}/delete/")

    assert "IMG_0042.MOV" not in consenting_client.get("/send/receipt/").content.decode()


# Who may not


def test_nobody_else_deletes_it(charlies_client, admin_client, consenting_client, video):
    for client, status in ((charlies_client, 404), (admin_client, 404), (consenting_client, 302)):
        assert client.post(f"/videos/{video.pk}/delete/").status_code == status
    assert Video.objects.get().state == VideoState.READY


def test_it_is_posted(staff_client, video):
    assert staff_client.get(f"/videos/{video.pk}/delete/").status_code == 405


def test_an_upload_under_way_is_stopped_and_not_deleted(staff_client, encounter):
    video = make_video(encounter, "uploading")
    staff_client.post(f"/videos/{video.pk}/delete/")

    assert Video.objects.get().state == VideoState.UPLOADING
    assert not Erasure.objects.exists()
