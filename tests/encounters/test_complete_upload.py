"""POST /uploads/<id>/complete/: an upload becomes a video with a job."""

import time
import urllib.error
import urllib.request
import uuid

import pytest
from django.db import transaction

from encounters.models import AccessRecord, Verb, Video, VideoState
from tests.conftest import at_once, tasks_waiting
from tests.encounters.support import (
    CONTENT,
    TWO_PARTS,
    announce,
    begin,
    checksum,
    complete,
    pieces,
    send_parts,
    sign,
)
from transcoding.engine.store import StoredPart
from transcoding.models import Status, TranscodeJob
from transcoding.store import PortalStore

pytestmark = pytest.mark.usefixtures("store")


def head(store, key):
    return store.client.head_object(Bucket=store.bucket, Key=key)


def join_at_the_store(store, content=CONTENT):
    """What is left when our process dies just after the store has joined the parts."""
    video = Video.objects.get()
    checksums = {number: checksum(piece) for number, piece in pieces(content).items()}
    parts = [
        StoredPart(number=part.number, size=part.size, etag=part.etag, sha256=checksums[part.number])
        for part in store.parts(video.source_key, video.upload_id)
    ]
    store.join(video.source_key, video.upload_id, parts)


def test_a_complete_upload_becomes_a_video_with_a_job(consenting_client, sent_upload):
    answer = complete(consenting_client, sent_upload)

    video = Video.objects.get()
    assert answer.status_code == 200
    assert answer.json() == {"video": {"id": sent_upload, "state": "waiting", "size": len(CONTENT)}}
    assert video.state == VideoState.WAITING
    assert (video.job.source_key, video.job.status) == (video.source_key, Status.QUEUED)
    assert tasks_waiting() == [(str(video.job.pk),)]
    assert AccessRecord.objects.filter(verb=Verb.UPLOAD_COMPLETED, video=video).count() == 1


def test_the_object_is_what_the_patient_sent(consenting_client, store):
    upload = begin(consenting_client, TWO_PARTS, filename="film.mp4")

    complete(consenting_client, upload)

    key = Video.objects.get().source_key
    found = head(store, key)
    assert list(store.keys()) == [key]
    assert store.read(key) == TWO_PARTS
    assert found["ContentType"] == "video/mp4"
    assert found["ServerSideEncryption"] == "AES256"
    assert found["ContentLength"] == len(TWO_PARTS)


def test_the_object_is_closed_to_the_public(consenting_client, sent_upload, store):
    complete(consenting_client, sent_upload)

    address = f"{store.config.endpoint}/{store.bucket}/{Video.objects.get().source_key}"
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(address, timeout=10)
    assert refusal.value.code == 403
    refusal.value.close()


def test_completing_twice_gives_the_same_answer_and_one_job(consenting_client, sent_upload):
    first, second = complete(consenting_client, sent_upload), complete(consenting_client, sent_upload)

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert TranscodeJob.objects.count() == 1
    assert len(tasks_waiting()) == 1


def test_parts_sent_in_any_order_are_joined_in_theirs(consenting_client, store):
    upload = announce(consenting_client, TWO_PARTS).json()["id"]
    send_parts(consenting_client, upload, TWO_PARTS, numbers={2})
    send_parts(consenting_client, upload, TWO_PARTS, numbers={1})

    assert complete(consenting_client, upload).status_code == 200
    assert store.read(Video.objects.get().source_key) == TWO_PARTS


def test_a_part_that_was_sent_twice_is_joined_once(consenting_client, store):
    """SeaweedFS lists it twice, and soon deletes the bytes of an object that is joined so."""
    upload = begin(consenting_client, TWO_PARTS)
    send_parts(consenting_client, upload, TWO_PARTS)

    answer = complete(consenting_client, upload)

    key = Video.objects.get().source_key
    assert answer.status_code == 200
    time.sleep(4)  # it deletes what it takes for superfluous in the background
    assert store.read(key) == TWO_PARTS


def test_a_store_that_joined_the_parts_before_we_noted_it_is_believed(consenting_client, sent_upload, store):
    join_at_the_store(store)

    answer = complete(consenting_client, sent_upload)

    assert answer.status_code == 200
    assert Video.objects.get().state == VideoState.WAITING
    assert TranscodeJob.objects.count() == 1


def test_a_colleague_of_the_team_may_complete(bobs_client, bob, sent_upload):
    assert complete(bobs_client, sent_upload).status_code == 200
    assert AccessRecord.objects.get(verb=Verb.UPLOAD_COMPLETED).user == bob


# Who may not


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("a stranger", 403),
        ("another patient", 404),
        ("Charlie", 404),
        ("an admin", 404),
        ("a patient whose link was withdrawn", 403),
        ("a patient whose link expired", 403),
        ("a patient whose encounter is closed", 403),
    ],
)
def test_nobody_else_may_complete(sent_upload, browser_of, who, status):
    answer = complete(browser_of(who), sent_upload)

    assert answer.status_code == status
    assert Video.objects.get(pk=sent_upload).state == VideoState.UPLOADING
    assert not TranscodeJob.objects.exists()


def test_an_upload_that_is_not_there_gives_404(consenting_client):
    assert complete(consenting_client, uuid.uuid4()).status_code == 404


def test_the_csrf_token_is_needed(strict_client, sent_upload):
    assert complete(strict_client, sent_upload).status_code == 403
    assert not TranscodeJob.objects.exists()


def test_an_upload_is_completed_by_post_alone(consenting_client, sent_upload):
    assert consenting_client.get(f"/uploads/{sent_upload}/complete/").status_code == 405
    assert consenting_client.put(f"/uploads/{sent_upload}/complete/").status_code == 405
    assert consenting_client.delete(f"/uploads/{sent_upload}/complete/").status_code == 405


# Bad input


def test_missing_parts_are_named(consenting_client):
    upload = announce(consenting_client, TWO_PARTS).json()["id"]
    send_parts(consenting_client, upload, TWO_PARTS, numbers={2})

    answer = complete(consenting_client, upload)

    assert (answer.status_code, answer.json()["code"]) == (409, "parts_missing")
    assert answer.json()["missing"] == [1]
    assert not TranscodeJob.objects.exists()
    send_parts(consenting_client, upload, TWO_PARTS, numbers={1})
    assert complete(consenting_client, upload).status_code == 200


@pytest.mark.parametrize("change", [-1, 1], ids=["shorter", "longer"])
def test_a_part_of_another_size_than_announced_counts_as_missing(consenting_client, store, change):
    """The store lets no browser send one, so this one is put there by hand."""
    upload = announce(consenting_client, size=len(CONTENT) - change).json()["id"]
    video = Video.objects.get()
    store.client.upload_part(
        Bucket=store.bucket, Key=video.source_key, UploadId=video.upload_id, PartNumber=1, Body=CONTENT
    )

    answer = complete(consenting_client, upload)

    assert (answer.status_code, answer.json()["missing"]) == (409, [1])
    assert list(store.keys()) == []


def test_an_object_of_another_size_is_not_taken(consenting_client, sent_upload, store):
    video = Video.objects.get()
    store.abort(video.source_key, video.upload_id)
    store.put(video.source_key, CONTENT[:-1], "video/quicktime")

    answer = complete(consenting_client, sent_upload)

    assert (answer.status_code, answer.json()["code"]) == (410, "upload_gone")
    assert not TranscodeJob.objects.exists()


def test_an_aborted_upload_cannot_be_completed(consenting_client, sent_upload, store):
    consenting_client.delete(f"/uploads/{sent_upload}/")

    answer = complete(consenting_client, sent_upload)

    assert (answer.status_code, answer.json()["code"]) == (410, "upload_gone")
    assert not TranscodeJob.objects.exists()
    assert list(store.keys()) == []


def test_a_part_whose_last_checksum_the_store_does_not_hold_never_becomes_a_video(
    consenting_client, sent_upload
):
    sign(consenting_client, sent_upload, {1: checksum(CONTENT[::-1])})

    answer = complete(consenting_client, sent_upload)

    assert (answer.status_code, answer.json()["code"]) == (409, "parts_missing")
    assert not TranscodeJob.objects.exists()


def test_a_list_that_is_being_cleared_away_is_no_missing_part(
    consenting_client, sent_upload, store, monkeypatch
):
    """Somebody else joins the parts; the store makes the object, then drops its list of them bit by bit."""

    def list_after_somebody_joined(self, key, upload_id):
        with monkeypatch.context() as patch:
            patch.setattr(PortalStore, "parts", whole_list)
            join_at_the_store(store)
        return []

    whole_list = PortalStore.parts
    monkeypatch.setattr(PortalStore, "parts", list_after_somebody_joined)

    answer = complete(consenting_client, sent_upload)

    assert answer.status_code == 200
    assert TranscodeJob.objects.count() == 1


def test_a_dead_store_is_said_in_words(consenting_client, sent_upload, unreachable_store):
    answer = complete(consenting_client, sent_upload)

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert Video.objects.get().state == VideoState.UPLOADING


# Races


@pytest.mark.django_db(transaction=True)
def test_two_completions_at_once_give_one_job(consenting_client, sent_upload):
    answers = at_once(*[lambda: complete(consenting_client, sent_upload)] * 2)

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert TranscodeJob.objects.count() == 1
    assert len(tasks_waiting()) == 1
    assert AccessRecord.objects.filter(verb=Verb.UPLOAD_COMPLETED).count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_completion_and_abort_at_once_one_wins(consenting_client, sent_upload, store):
    completed, stopped = at_once(
        lambda: complete(consenting_client, sent_upload),
        lambda: consenting_client.delete(f"/uploads/{sent_upload}/"),
    )

    video = Video.objects.get()
    assert stopped.status_code == 200
    if video.received_at:
        assert completed.status_code == 200
        assert list(store.keys()) == [video.source_key]
    else:
        assert completed.status_code == 410
        assert video.removed_at
        assert list(store.keys()) == []
    assert TranscodeJob.objects.count() == (1 if video.received_at else 0)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_cannot_be_queued_leaves_the_upload_as_it_was(consenting_client, sent_upload, monkeypatch):
    def break_down(job):
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr("transcoding.queue.ring", break_down)
        with pytest.raises(ConnectionError):
            complete(consenting_client, sent_upload)

    assert transaction.get_autocommit()
    assert Video.objects.get().state == VideoState.UPLOADING
    assert not TranscodeJob.objects.exists()
    assert complete(consenting_client, sent_upload).status_code == 200
