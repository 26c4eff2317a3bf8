"""What arrives is looked at before it is queued: what begins like no video is said at once."""

import pytest

from encounters.models import AccessRecord, Verb, Video, VideoState
from tests.conftest import signed_in, tasks_waiting
from tests.encounters.support import CONTENT, VIDEO_HEAD, begin, complete, send
from transcoding.models import Status

pytestmark = pytest.mark.usefixtures("store")


@pytest.mark.parametrize(
    "content",
    [
        b"Dear doctor, my video",
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"%PDF-1.7\n",
        b"\xff\xd8\xff\xe0JFIF",
        b"x",
    ],
    ids=["text", "playlist", "PDF", "photo", "one byte"],
)
def test_what_is_no_video_is_refused_at_once(consenting_client, content):
    upload = begin(consenting_client, content)

    answer = complete(consenting_client, upload)

    video = Video.objects.get()
    assert (answer.status_code, answer.json()["video"]["state"]) == (200, "failed")
    assert (video.state, video.job.failure_code) == (VideoState.FAILED, "not_a_video")
    assert tasks_waiting() == []
    assert (
        consenting_client.get(f"/uploads/{upload}/").json()["message"].startswith("This file is not a video.")
    )


def test_the_clinician_is_told_all_the_same(consenting_client, encounter):
    send(consenting_client, b"no video")

    assert tasks_waiting("encounters.notices.tell") == [(encounter.reference,)]
    assert AccessRecord.objects.filter(verb=Verb.UPLOAD_COMPLETED).count() == 1


def test_the_admin_may_have_it_tried(consenting_client, admin):
    job = send(consenting_client, b"no video").job

    signed_in(admin).post(f"/conversions/{job.pk}/retry/")

    job.refresh_from_db()
    assert job.status == Status.QUEUED
    assert tasks_waiting() == [(str(job.pk),)]


def test_it_may_be_sent_anew(consenting_client):
    first = send(consenting_client, b"no video")

    assert begin(consenting_client, b"no video") != str(first.pk)


@pytest.mark.parametrize(
    "content",
    [CONTENT, b"\x1a\x45\xdf\xa3 matroska", b"RIFF\0\0\0\0AVI LIST", b"\0\0\0\x08wide\0\0\0\0mdat"],
    ids=["MOV", "Matroska", "AVI", "old MOV"],
)
def test_what_begins_like_a_video_is_queued(consenting_client, content):
    assert VIDEO_HEAD in CONTENT
    assert send(consenting_client, content).state == VideoState.WAITING


def test_a_store_that_fails_in_this_moment_is_asked_again(consenting_client, sent_upload, monkeypatch):
    from transcoding.engine.store import StoreError  # noqa: PLC0415
    from transcoding.store import PortalStore  # noqa: PLC0415

    def fail(*args):
        raise StoreError("get_object", "InternalError")

    with monkeypatch.context() as patch:
        patch.setattr(PortalStore, "head", fail)
        first = complete(consenting_client, sent_upload)
    second = complete(consenting_client, sent_upload)

    assert (first.status_code, second.status_code) == (503, 200)
    assert Video.objects.get().state == VideoState.WAITING
