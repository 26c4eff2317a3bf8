"""Extras: what follows once a video can be watched, and what becomes of it when a worker dies meanwhile."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.conftest import make_job, tasks_waiting
from transcoding import jobs, worker
from transcoding.engine import transcode as engine
from transcoding.engine.contracts import Extras as ExtrasOfResult
from transcoding.engine.contracts import Outcome, Output, OutputKind, TranscodeResult
from transcoding.engine.keys import result_key
from transcoding.models import AttemptOutcome, Extras, Rendition, Status, TranscodeAttempt, TranscodeJob
from transcoding.signals import job_finished
from transcoding.sweep import sweep

pytestmark = pytest.mark.django_db


@pytest.fixture
def heard():
    told = []

    def listen(job, **kwargs):
        told.append(job.status)

    job_finished.connect(listen, weak=False)
    yield told
    job_finished.disconnect(listen)


def ready(attempt, **changes):
    stem = attempt.job.source_key.rpartition(".")[0]
    mp4 = Output(
        kind=OutputKind.MP4, key=f"{stem}.web.mp4", content_type="video/mp4", size=4000, sha256="a" * 64
    )
    described = {"job": str(attempt.job_id), "attempt": attempt.number, "outcome": Outcome.SUCCEEDED}
    return TranscodeResult(**{**described, "outputs": (mp4,), "extras": ExtrasOfResult.PENDING, **changes})


def done(attempt, **changes):
    found = ready(attempt)
    sheet = Output(
        kind=OutputKind.STORYBOARD, key="sheet", content_type="image/jpeg", size=5, sha256="c" * 64
    )
    return replace(found, extras=ExtrasOfResult.DONE, outputs=(*found.outputs, sheet), **changes)


@pytest.fixture
def attempt():
    return jobs.claim(make_job().pk, host="worker-1")


@pytest.fixture
def watchable(attempt):
    """An attempt whose video can be watched and whose extras are being made."""
    assert jobs.record_result(attempt, ready(attempt))
    return attempt


def fall_silent():
    TranscodeJob.objects.update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def test_the_status_flips_before_the_extras_are_made(watchable, heard):
    job = TranscodeJob.objects.get()
    assert (job.status, job.extras, job.progress) == (Status.SUCCEEDED, Extras.RUNNING, 1.0)
    assert job.lease_expires_at > timezone.now()
    assert TranscodeAttempt.objects.get().outcome == AttemptOutcome.RUNNING

    assert jobs.record_extras(watchable, done(watchable))

    job.refresh_from_db()
    assert (job.status, job.extras, job.lease_expires_at) == (Status.SUCCEEDED, Extras.DONE, None)
    assert TranscodeAttempt.objects.get().outcome == AttemptOutcome.SUCCEEDED
    assert {one.kind for one in Rendition.objects.all()} == {"mp4", "storyboard"}
    assert heard == []


def test_who_listens_hears_of_it_once_when_it_can_be_watched(attempt, heard):
    jobs.record_result(attempt, ready(attempt))
    jobs.record_extras(attempt, done(attempt))
    assert heard == [Status.SUCCEEDED]


def test_a_replaced_copy_changes_size_and_checksum_and_says_why(watchable):
    result = done(watchable, swapped=True, reasons=("copy_swapped: broken",))
    other = replace(result.outputs[0], size=9000, sha256="d" * 64)
    jobs.record_extras(watchable, replace(result, outputs=(other, *result.outputs[1:])))

    job = TranscodeJob.objects.get()
    mp4 = job.renditions.get(kind="mp4")
    assert (mp4.size, mp4.sha256) == (9000, "d" * 64)
    assert job.plan["reasons"] == ["copy_swapped: broken"]


def test_extras_are_filed_once_and_by_their_own_attempt_alone(watchable):
    stranger = TranscodeAttempt.objects.create(job=watchable.job, number=2, host="worker-2")
    assert jobs.record_extras(stranger, done(stranger)) is False
    assert jobs.record_extras(watchable, done(watchable)) is True
    assert jobs.record_extras(watchable, done(watchable)) is False
    assert Rendition.objects.count() == 2


def test_the_heartbeat_goes_on_while_extras_are_made(watchable):
    fall_silent()
    assert jobs.heartbeat(watchable, 0.3) is True
    job = TranscodeJob.objects.get()
    assert job.lease_expires_at > timezone.now()
    assert job.progress == 1.0
    jobs.record_extras(watchable, done(watchable))
    assert jobs.heartbeat(watchable, 1.0) is False


def test_extras_whose_worker_died_wait_for_another_one(watchable, store):
    fall_silent()
    assert sweep()["requeued"] == 1

    job = TranscodeJob.objects.get()
    assert (job.status, job.extras, job.lease_expires_at) == (Status.SUCCEEDED, Extras.WAITING, None)
    assert TranscodeAttempt.objects.get().outcome == AttemptOutcome.LOST
    assert tasks_waiting() == [(str(job.pk),)]
    assert jobs.record_extras(watchable, done(watchable)) is False

    again = jobs.claim(job.pk, host="worker-2")
    assert again.number == 2
    assert jobs.record_extras(again, done(again))
    assert TranscodeJob.objects.get().extras == Extras.DONE


def test_extras_whose_task_was_lost_are_rung_for_again(watchable, store):
    jobs.record_fault(watchable, "EndpointConnectionError")
    assert tasks_waiting() == []
    ago = timezone.now() - timedelta(minutes=5)
    TranscodeJob.objects.update(rung_at=ago, available_at=ago)
    assert sweep()["rung"] == 1
    assert len(tasks_waiting()) == 1


def test_after_the_last_attempt_the_video_stays_without_extras(store, heard):
    attempt = jobs.claim(make_job(attempt=2).pk, host="worker-1")
    jobs.record_result(attempt, ready(attempt))
    fall_silent()
    sweep()

    job = TranscodeJob.objects.get()
    assert (job.status, job.extras, job.failure_code) == (Status.SUCCEEDED, Extras.LOST, "")
    assert heard == [Status.SUCCEEDED]
    assert tasks_waiting() == []


@pytest.mark.parametrize(("left", "extras"), [(done, Extras.DONE), (ready, Extras.WAITING)])
def test_a_result_left_behind_is_taken_as_far_as_it_goes(attempt, store, left, extras):
    store.put(result_key(attempt.job.source_key), left(attempt).to_json().encode(), "application/json")
    fall_silent()
    assert sweep()["recovered"] == 1
    job = TranscodeJob.objects.get()
    assert (job.status, job.extras, job.lease_expires_at) == (Status.SUCCEEDED, extras, None)


def test_finished_extras_left_behind_are_taken(watchable, store):
    store.put(result_key(watchable.job.source_key), done(watchable).to_json().encode(), "application/json")
    fall_silent()
    assert sweep()["recovered"] == 1
    assert TranscodeJob.objects.get().extras == Extras.DONE


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_fails_at_the_extras_leaves_them_to_the_next_one(
    store, short_clip, settings, tmp_path, monkeypatch
):
    settings.WORK_DIR = tmp_path
    job = make_job()
    store.upload(short_clip, job.source_key, "video/quicktime", {})

    def break_down(self):
        found = TranscodeJob.objects.get()
        assert (found.status, found.extras) == (Status.SUCCEEDED, Extras.RUNNING)
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(engine.Conversion, "finish", break_down)
        with pytest.raises(OSError):  # noqa: PT011 - it has no words
            worker.convert(str(job.pk))
    job.refresh_from_db()
    assert (job.status, job.extras, job.lease_expires_at) == (Status.SUCCEEDED, Extras.WAITING, None)
    TranscodeJob.objects.update(available_at=timezone.now())

    assert worker.convert(str(job.pk)) == "succeeded"
    job.refresh_from_db()
    assert (job.extras, job.attempt) == (Extras.DONE, 2)
    assert job.renditions.filter(kind=OutputKind.STORYBOARD).exists()
    assert list(tmp_path.iterdir()) == []
