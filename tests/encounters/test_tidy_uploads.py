"""The scheduled task that gives up what nobody will continue, and clears the store of leftovers."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone
from django_q.models import Schedule

from encounters import recovery
from encounters.models import AccessRecord, Verb, Video, VideoState
from tests.encounters.support import TWO_PARTS, announce, begin, make_video, send_parts

pytestmark = pytest.mark.usefixtures("store")
NOTHING = {"completed": 0, "abandoned": 0, "orphans": 0}
LONG_AGO = timedelta(days=15)


@pytest.fixture(autouse=True)
def _nothing_open(store):
    """Other tests leave uploads behind."""
    for found in store.open_uploads():
        store.abort(found.key, found.upload_id)


def began(ago):
    Video.objects.update(created_at=timezone.now() - ago)


def open_at(store):
    return [found.upload_id for found in store.open_uploads()]


@pytest.fixture
def half(consenting_client):
    """An upload that lacks its second part."""
    upload = announce(consenting_client, TWO_PARTS).json()["id"]
    send_parts(consenting_client, upload, TWO_PARTS, numbers={1})
    return Video.objects.get(pk=upload)


@pytest.fixture
def _no_grace(monkeypatch):
    monkeypatch.setattr(recovery, "ORPHAN_AFTER", timedelta(seconds=-60))


def test_what_was_not_finished_in_time_is_given_up_here_and_at_the_store(half, store):
    began(LONG_AGO)

    assert recovery.tidy() == {**NOTHING, "abandoned": 1}

    half.refresh_from_db()
    assert half.state == VideoState.REMOVED
    assert open_at(store) == []
    assert AccessRecord.objects.filter(verb=Verb.UPLOAD_ABANDONED, video=half).count() == 1
    assert recovery.tidy() == NOTHING


def test_what_may_still_be_continued_is_left_alone(half, store):
    began(timedelta(days=13, hours=23))

    assert recovery.tidy() == NOTHING
    assert open_at(store) == [half.upload_id]


def test_what_arrived_whole_is_never_given_up(sent_upload):
    began(LONG_AGO)

    assert recovery.tidy() == {**NOTHING, "completed": 1}
    assert Video.objects.get().state == VideoState.WAITING


def test_what_was_never_begun_at_the_store_is_given_up_too(encounter):
    make_video(encounter, "IMG_0042.MOV")
    began(LONG_AGO)

    assert recovery.tidy() == {**NOTHING, "abandoned": 1}


def test_a_dead_store_gives_up_nothing_that_may_be_whole(sent_upload, unreachable_store):
    began(LONG_AGO)

    assert recovery.tidy() == NOTHING
    assert Video.objects.get().state == VideoState.UPLOADING


@pytest.mark.usefixtures("_no_grace")
def test_what_was_stopped_while_the_store_was_away_is_dropped(half, store):
    Video.objects.update(removed_at=timezone.now())

    assert recovery.tidy() == {**NOTHING, "orphans": 1}
    assert open_at(store) == []


@pytest.mark.usefixtures("_no_grace")
def test_what_was_begun_twice_is_dropped_once(half, store):
    store.start_upload(half.source_key, "video/quicktime")

    assert recovery.tidy() == {**NOTHING, "orphans": 1}
    assert open_at(store) == [half.upload_id]


@pytest.mark.usefixtures("_no_grace")
def test_what_others_are_storing_is_left_alone(consenting_client, half, store):
    stem = half.source_key.rpartition(".")[0]
    store.start_upload(f"{stem}.web.mp4", "video/mp4")
    begin(consenting_client)

    assert recovery.tidy() == NOTHING
    assert len(open_at(store)) == 3


def test_what_has_just_been_begun_is_left_alone(half, store):
    Video.objects.update(removed_at=timezone.now())

    assert recovery.tidy() == NOTHING
    assert open_at(store) == [half.upload_id]


def test_the_store_s_own_rule_waits_longer_than_we_do(store):
    store.forget_unfinished_after(settings.UPLOAD_FORGET_DAYS)

    (rule,) = store.client.get_bucket_lifecycle_configuration(Bucket=store.bucket)["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 21}
    assert settings.UPLOAD_FORGET_DAYS > settings.UPLOAD_RESUME_DAYS >= settings.INVITATION_DAYS


def test_it_is_on_the_schedule_and_the_former_name_of_recovering_is_not(db):
    assert Schedule.objects.get(name="encounters.recovery.tidy").minutes == 60
    assert not Schedule.objects.filter(name="encounters.uploads.recover").exists()
