"""The scheduled task that completes what arrived whole and was never completed."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import Schedule

from encounters import recovery
from encounters.models import AccessRecord, Verb, Video, VideoState
from tests.encounters.support import TWO_PARTS, announce, begin, send_parts
from transcoding.models import TranscodeJob

pytestmark = pytest.mark.usefixtures("store")


def began(ago):
    Video.objects.update(created_at=timezone.now() - ago, active_at=timezone.now() - ago)


def test_what_arrived_whole_becomes_a_video(sent_upload):
    began(timedelta(minutes=6))

    assert recovery.recover() == 1

    record = AccessRecord.objects.get(verb=Verb.UPLOAD_COMPLETED)
    assert Video.objects.get().state == VideoState.WAITING
    assert (record.user, record.invitation) == (None, None)
    assert TranscodeJob.objects.count() == 1


def test_recovering_twice_is_recovering_once(sent_upload):
    began(timedelta(minutes=6))
    recovery.recover()

    assert recovery.recover() == 0
    assert TranscodeJob.objects.count() == 1


@pytest.mark.parametrize("ago", [timedelta(minutes=4), timedelta(days=31)], ids=["just begun", "long ago"])
def test_what_may_still_be_sent_and_what_is_long_past_is_left_alone(sent_upload, ago):
    began(ago)

    assert recovery.recover() == 0
    assert Video.objects.get().state == VideoState.UPLOADING


def test_an_upload_with_missing_parts_waits_on(consenting_client):
    upload = announce(consenting_client, TWO_PARTS).json()["id"]
    send_parts(consenting_client, upload, TWO_PARTS, numbers={1})
    began(timedelta(minutes=6))

    assert recovery.recover() == 0
    assert Video.objects.get().state == VideoState.UPLOADING


def test_one_that_cannot_be_recovered_does_not_hold_up_the_next(consenting_client, store):
    announce(consenting_client, TWO_PARTS)
    forgotten = announce(consenting_client, b"forgotten").json()["id"]
    video = Video.objects.get(pk=forgotten)
    store.abort(video.source_key, video.upload_id)
    whole = begin(consenting_client)
    began(timedelta(minutes=6))

    assert recovery.recover() == 1
    assert list(Video.objects.received()) == [Video.objects.get(pk=whole)]


def test_a_stopped_upload_stays_stopped(consenting_client, sent_upload):
    consenting_client.delete(f"/uploads/{sent_upload}/")
    began(timedelta(minutes=6))

    assert recovery.recover() == 0


def test_a_dead_store_ends_the_round_quietly(sent_upload, unreachable_store):
    began(timedelta(minutes=6))

    assert recovery.recover() == 0
    assert Video.objects.get().state == VideoState.UPLOADING


def test_it_is_on_the_schedule(db):
    assert Schedule.objects.get(name="encounters.recovery.recover").minutes == 5
