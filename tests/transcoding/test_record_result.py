"""What the engine said is filed: once, and only by the attempt that holds the job."""

import pytest
from django.db import transaction

from tests.conftest import at_once, make_job
from transcoding import jobs
from transcoding.engine.contracts import (
    FailureCode,
    Outcome,
    Output,
    OutputKind,
    TranscodeResult,
    Treatment,
)
from transcoding.models import AttemptOutcome, Rendition, Status, TranscodeAttempt, TranscodeJob
from transcoding.signals import job_finished

pytestmark = pytest.mark.django_db


@pytest.fixture
def attempt():
    return jobs.claim(make_job().pk, host="worker-1")


@pytest.fixture
def heard():
    """What the signal's listeners were told."""
    told = []

    def listen(job, **kwargs):
        told.append((job.pk, job.status, transaction.get_connection().in_atomic_block))

    job_finished.connect(listen, weak=False)
    yield told
    job_finished.disconnect(listen)


def success(attempt, **changes):
    stem = attempt.job.source_key.rpartition(".")[0]
    mp4 = Output(
        kind=OutputKind.MP4,
        key=f"{stem}.web.mp4",
        content_type="video/mp4",
        size=4000,
        sha256="a" * 64,
        width=720,
        height=1280,
        duration=65.4,
    )
    poster = Output(
        kind=OutputKind.POSTER, key=f"{stem}.poster.jpg", content_type="image/jpeg", size=500, sha256="b" * 64
    )
    return TranscodeResult(
        job=str(attempt.job_id),
        attempt=attempt.number,
        outcome=Outcome.SUCCEEDED,
        video=Treatment.ENCODE,
        audio=Treatment.COPY,
        reasons=("video_codec: HEVC does not play everywhere",),
        facts={"container": "mov"},
        outputs=(mp4, poster),
        source_size=9000,
        source_sha256="c" * 64,
        ffmpeg_version="7.1",
        ffmpeg_arguments=("-i", "source"),
        log_tail="done",
        cpu_seconds=1.5,
        peak_memory=10**9,
        **changes,
    )


def failure(attempt, code=FailureCode.DAMAGED):
    return TranscodeResult(
        job=str(attempt.job_id),
        attempt=attempt.number,
        outcome=Outcome.FAILED,
        code=code,
        detail="moov atom not found",
    )


def test_success_is_filed_with_all_that_was_made(attempt, heard):
    assert jobs.record_result(attempt, success(attempt)) is True

    job = TranscodeJob.objects.get()
    assert (job.status, job.progress, job.failure_code) == (Status.SUCCEEDED, 1.0, "")
    assert (job.lease_expires_at, bool(job.finished_at)) == (None, True)
    assert job.plan == {
        "video": "encode",
        "audio": "copy",
        "reasons": ["video_codec: HEVC does not play everywhere"],
    }
    assert (job.facts, job.source_sha256) == ({"container": "mov"}, "c" * 64)
    assert {made.kind: made.content_type for made in job.renditions.all()} == {
        "mp4": "video/mp4",
        "poster": "image/jpeg",
    }
    mp4 = job.renditions.get(kind="mp4")
    assert (mp4.object_key, mp4.width, mp4.height) == (f"{job.source_key[:-4]}.web.mp4", 720, 1280)
    assert mp4.clock == "1:05"
    assert heard == [(job.pk, Status.SUCCEEDED, True)]


def test_the_attempt_is_closed_with_its_costs(attempt):
    jobs.record_result(attempt, success(attempt))

    closed = TranscodeAttempt.objects.get()
    assert (closed.outcome, bool(closed.ended_at)) == (AttemptOutcome.SUCCEEDED, True)
    assert (closed.ffmpeg_version, closed.ffmpeg_arguments) == ("7.1", ["-i", "source"])
    assert (closed.cpu_seconds, closed.peak_memory, closed.log_tail) == (1.5, 10**9, "done")
    assert (closed.bytes_in, closed.bytes_out) == (9000, 4500)


@pytest.mark.parametrize("code", FailureCode)
def test_every_failure_is_filed_with_its_code_and_explained(attempt, heard, code):
    assert jobs.record_result(attempt, failure(attempt, code)) is True

    job = TranscodeJob.objects.get()
    assert (job.status, job.failure_code, job.failure_detail) == (Status.FAILED, code, "moov atom not found")
    assert job.explanation.endswith(".")
    assert TranscodeAttempt.objects.get().outcome == AttemptOutcome.FAILED
    assert not Rendition.objects.exists()
    assert heard == [(job.pk, Status.FAILED, True)]


def test_bad_input_is_not_tried_again(attempt):
    jobs.record_result(attempt, failure(attempt))

    assert jobs.claim(attempt.job_id, host="worker-2") is None


def test_what_a_later_attempt_made_replaces_what_an_earlier_one_did(attempt):
    jobs.record_result(attempt, success(attempt))
    TranscodeJob.objects.update(status=Status.QUEUED, extras="", finished_at=None)
    again = jobs.claim(attempt.job_id, host="worker-2")

    jobs.record_result(again, success(again))

    assert Rendition.objects.count() == 2


def test_a_second_result_changes_nothing(attempt, heard):
    jobs.record_result(attempt, success(attempt))

    assert jobs.record_result(attempt, failure(attempt)) is False
    assert TranscodeJob.objects.get().status == Status.SUCCEEDED
    assert Rendition.objects.count() == 2
    assert len(heard) == 1


def test_an_attempt_that_lost_the_job_changes_nothing(attempt, heard):
    jobs.record_loss(attempt)
    jobs.claim(attempt.job_id, host="worker-2")

    assert jobs.record_result(attempt, success(attempt)) is False
    job = TranscodeJob.objects.get()
    assert (job.status, job.attempt) == (Status.RUNNING, 2)
    assert not Rendition.objects.exists()
    assert [one.outcome for one in job.attempts.all()] == [AttemptOutcome.LOST, AttemptOutcome.RUNNING]
    assert heard == []


@pytest.mark.django_db(transaction=True)
def test_of_two_results_at_once_one_is_filed(attempt, heard):
    mine, yours = (TranscodeAttempt.objects.select_related("job").get() for _ in range(2))

    filed = at_once(
        lambda: jobs.record_result(mine, success(mine)), lambda: jobs.record_result(yours, success(yours))
    )

    assert sorted(filed) == [False, True]
    assert Rendition.objects.count() == 2
    assert len(heard) == 1


@pytest.mark.django_db(transaction=True)
def test_a_listener_that_breaks_down_leaves_the_job_running(attempt):
    def break_down(**kwargs):
        raise ConnectionError

    job_finished.connect(break_down)
    try:
        with pytest.raises(ConnectionError):
            jobs.record_result(attempt, success(attempt))
    finally:
        job_finished.disconnect(break_down)

    assert TranscodeJob.objects.get().status == Status.RUNNING
    assert not Rendition.objects.exists()
