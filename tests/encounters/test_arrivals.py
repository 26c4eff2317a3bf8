"""What lies under an encounter's prefix becomes its video, whoever put it there."""

import pytest
from django.utils import timezone

from encounters import arrivals
from encounters.models import AccessRecord, Verb, Video
from tests.conftest import at_once
from tests.encounters.support import CONTENT, announce, begin
from transcoding import remote
from transcoding.aws.reports import News, Report
from transcoding.models import Runner, Status, TranscodeJob


@pytest.fixture(autouse=True)
def lambda_runner(settings):
    settings.TRANSCODE_RUNNER, settings.LAMBDA_FUNCTION, settings.LAMBDA_TRIGGER = "lambda", "f", "event"


def begun(key):
    return remote.take(
        Report(news=News.BEGIN, source_key=key, source_etag="e", source_size=len(CONTENT), host="lambda")
    )


@pytest.fixture
def dropped(db, encounter):
    """The key of a film that somebody put into the bucket by hand."""
    return f"{encounter.reference}/DROPPED_1.MOV"


def test_a_film_dropped_into_the_bucket_becomes_a_video(dropped, encounter, staff_client):
    answer = begun(dropped)

    video = Video.objects.get()
    assert answer.accepted
    assert answer.request.source_key == dropped
    assert (video.encounter, video.original_name, video.size) == (encounter, "DROPPED_1.MOV", len(CONTENT))
    assert (video.job.status, video.job.runner) == (Status.RUNNING, Runner.LAMBDA)
    assert "DROPPED_1.MOV" in staff_client.get(f"/encounters/{encounter.reference}/").content.decode()


def test_that_it_was_found_is_recorded(dropped):
    begun(dropped)

    record = AccessRecord.objects.get(verb=Verb.UPLOAD_COMPLETED)
    assert (record.user, record.invitation, record.reason) == (None, None, arrivals.ADOPTED)


def test_twice_is_once(dropped):
    assert [begun(dropped).accepted for _ in range(2)] == [True, False]
    assert Video.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_at_once_is_once(encounter):
    key = f"{encounter.reference}/DROPPED_1.MOV"

    answers = at_once(*[lambda: begun(key).accepted] * 2)

    assert sorted(answers) == [False, True]
    assert (Video.objects.count(), TranscodeJob.objects.count()) == (1, 1)


def test_a_local_portal_adopts_it_and_converts_it_itself(dropped, settings):
    settings.TRANSCODE_RUNNER = "local"

    assert not begun(dropped).accepted
    assert Video.objects.get().job.runner == Runner.LOCAL


@pytest.mark.parametrize(
    "key",
    ["0123456789abcdef/DROPPED_1.MOV", "{}/dropped.pdf", "{}/DROPPED_1.web.mp4", "{}/a/b.mov", "IMG.MOV"],
)
def test_what_belongs_to_no_encounter_or_is_no_source_is_left(db, encounter, key):
    assert not begun(key.format(encounter.reference)).accepted
    assert not Video.objects.exists()


def test_an_erased_encounter_gets_nothing(dropped, encounter):
    type(encounter).objects.update(erased_at=timezone.now())
    assert not begun(dropped).accepted


def test_an_event_faster_than_the_browser_completes_the_upload(store, consenting_client):
    video = Video.objects.get(pk=begin(consenting_client))

    assert begun(video.source_key).accepted

    video.refresh_from_db()
    assert video.received_at
    assert video.job.status == Status.RUNNING
    assert consenting_client.post(f"/uploads/{video.pk}/complete/").status_code == 200
    assert TranscodeJob.objects.count() == 1


def test_an_upload_that_is_not_whole_is_left_to_the_browser(store, consenting_client):
    video = Video.objects.get(pk=announce(consenting_client).json()["id"])

    assert not begun(video.source_key).accepted
    video.refresh_from_db()
    assert video.received_at is None
