"""What is stuck finds its way on."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from tests.conftest import at_once, make_job, tasks_waiting
from transcoding import jobs
from transcoding.engine.contracts import FailureCode, Outcome, Output, OutputKind, TranscodeResult
from transcoding.engine.keys import result_key
from transcoding.models import AttemptOutcome, Status, TranscodeAttempt, TranscodeJob
from transcoding.sweep import sweep

NOTHING = {"recovered": 0, "requeued": 0, "rung": 0}
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]


def silent_attempt(**fields):
    """An attempt whose worker has not been heard of in time."""
    attempt = jobs.claim(make_job(**fields).pk, host="worker-1")
    TranscodeJob.objects.filter(pk=attempt.job_id).update(
        lease_expires_at=timezone.now() - timedelta(seconds=1)
    )
    return attempt


def leave_result(store, silent, **changes):
    """The result file of an attempt whose worker died before it could tell us."""
    stem = silent.job.source_key.rpartition(".")[0]
    mp4 = Output(
        kind=OutputKind.MP4, key=f"{stem}.web.mp4", content_type="video/mp4", size=1, sha256="a" * 64
    )
    described = {"job": str(silent.job_id), "attempt": silent.number, "outcome": Outcome.SUCCEEDED}
    result = TranscodeResult(**{**described, "outputs": (mp4,), **changes})
    store.put(result_key(silent.job.source_key), result.to_json().encode(), "application/json")


def wait(minutes):
    """Let time pass for everything that waits."""
    ago = timedelta(minutes=minutes)
    TranscodeJob.objects.update(rung_at=F("rung_at") - ago, available_at=F("available_at") - ago)
    OrmQ.objects.update(lock=F("lock") - ago)


def test_where_nothing_is_stuck_nothing_happens():
    jobs.claim(make_job().pk, host="worker-1")
    jobs.enqueue(source_key="e5fa44f2b31/waits.mov")
    make_job(Status.SUCCEEDED)

    assert sweep() == NOTHING
    assert len(tasks_waiting()) == 1


def test_a_job_whose_worker_fell_silent_waits_again():
    attempt = silent_attempt()

    assert sweep() == {**NOTHING, "requeued": 1}

    job = TranscodeJob.objects.get()
    assert (job.status, job.attempt) == (Status.QUEUED, 1)
    assert TranscodeAttempt.objects.get().outcome == AttemptOutcome.LOST
    assert tasks_waiting() == [(str(job.pk),)]
    assert jobs.record_fault(attempt, "too late") is False


def test_after_the_third_loss_it_fails_as_worker_lost():
    silent_attempt(attempt=2)

    sweep()

    job = TranscodeJob.objects.get()
    assert (job.status, job.failure_code, job.attempt) == (Status.FAILED, "worker_lost", 3)
    assert tasks_waiting() == []


def test_a_result_left_behind_is_taken(store):
    attempt = silent_attempt()
    leave_result(store, attempt)

    assert sweep() == {**NOTHING, "recovered": 1}

    job = TranscodeJob.objects.get()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 1)
    assert job.renditions.get(kind="mp4").object_key.endswith(".web.mp4")
    assert TranscodeAttempt.objects.get().outcome == AttemptOutcome.SUCCEEDED


def test_a_failure_left_behind_is_taken_too(store):
    attempt = silent_attempt()
    leave_result(store, attempt, outcome=Outcome.FAILED, code=FailureCode.DAMAGED, outputs=())

    assert sweep() == {**NOTHING, "recovered": 1}
    assert TranscodeJob.objects.get().failure_code == "damaged"


@pytest.mark.parametrize("changes", [{"attempt": 1}, {"attempt": 3}, {"job": "another"}], ids=repr)
def test_the_result_of_another_attempt_or_job_is_not_taken(store, changes):
    attempt = silent_attempt(attempt=1)
    leave_result(store, attempt, **changes)

    assert sweep() == {**NOTHING, "requeued": 1}
    assert TranscodeJob.objects.get().status == Status.QUEUED


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"{}", b'{"job": 7}', b"\xff", b'"text"'])
def test_a_result_file_that_makes_no_sense_is_not_taken(store, content):
    attempt = silent_attempt()
    store.put(result_key(attempt.job.source_key), content, "application/json")

    assert sweep() == {**NOTHING, "requeued": 1}


def test_with_a_dead_store_the_job_waits_again(unreachable_store):
    silent_attempt()

    assert sweep() == {**NOTHING, "requeued": 1}


def test_a_result_that_cannot_be_filed_does_not_hold_up_the_other_jobs(store):
    broken, other = silent_attempt(), silent_attempt()
    leave_result(store, broken, outcome=Outcome.FAILED, code=None, outputs=())

    sweep()

    assert set(TranscodeJob.objects.values_list("pk", "status")) == {
        (broken.job_id, Status.QUEUED),
        (other.job_id, Status.QUEUED),
    }


# Forgotten bells


def test_a_job_whose_task_was_lost_is_rung_for_again_once():
    job = jobs.enqueue(source_key="e5fa44f2b31/waits.mov")
    OrmQ.objects.all().delete()
    wait(minutes=2)

    assert sweep() == {**NOTHING, "rung": 1}
    assert sweep() == NOTHING
    assert tasks_waiting() == [(str(job.pk),)]


def test_a_job_that_has_just_been_rung_for_is_left_alone():
    jobs.enqueue(source_key="e5fa44f2b31/waits.mov")
    OrmQ.objects.all().delete()

    assert sweep() == NOTHING


def test_jobs_that_wait_their_turn_in_a_long_queue_are_not_rung_for_again():
    for name in ("first", "second", "third"):
        jobs.enqueue(source_key=f"e5fa44f2b31/{name}.mov")
    wait(minutes=10)

    assert sweep() == NOTHING
    assert len(tasks_waiting()) == 3


def test_a_job_whose_task_was_lost_from_a_long_queue_is_found():
    lost = jobs.enqueue(source_key="e5fa44f2b31/lost.mov")
    OrmQ.objects.all().delete()
    jobs.enqueue(source_key="e5fa44f2b31/waits.mov")
    wait(minutes=10)

    sweep()

    assert tasks_waiting().count((str(lost.pk),)) == 1


def test_a_job_paused_after_a_fault_is_rung_for_when_its_pause_is_over():
    attempt = jobs.claim(make_job().pk, host="worker-1")
    jobs.record_fault(attempt, "EndpointConnectionError")
    assert sweep() == NOTHING
    TranscodeJob.objects.update(
        rung_at=timezone.now() - timedelta(seconds=16), available_at=timezone.now() - timedelta(seconds=1)
    )

    assert sweep() == {**NOTHING, "rung": 1}
    assert sweep() == NOTHING
    assert tasks_waiting() == [(str(attempt.job_id),)]
    assert jobs.claim(attempt.job_id, host="worker-2").number == 2


# Races


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_mend_once():
    silent_attempt()
    forgotten = make_job(rung_at=timezone.now() - timedelta(minutes=5))

    at_once(sweep, sweep, sweep)

    assert TranscodeAttempt.objects.get().outcome == AttemptOutcome.LOST
    assert TranscodeJob.objects.filter(status=Status.QUEUED).count() == 2
    assert tasks_waiting().count((str(forgotten.pk),)) == 1
    assert len(tasks_waiting()) == 2


def test_it_is_on_the_schedule():
    assert Schedule.objects.get(name="transcoding.sweep.sweep").minutes == 1
