"""A conversion is queued: the row and the task that rings for it, both or neither."""

import pytest
from django.db import IntegrityError, transaction
from django_q.models import OrmQ

from tests.conftest import tasks_waiting
from transcoding import jobs
from transcoding.engine.contracts import FailureCode
from transcoding.models import Status, TranscodeJob

KEY = "e5fa44f2b31/7448d8798a4380162d4b56f9b452e2f6f9e24e7a.mov"
pytestmark = pytest.mark.django_db


def test_a_job_waits_and_its_task_carries_its_id_alone(settings):
    job = jobs.enqueue(source_key=KEY)

    assert (job.status, job.attempt, job.attempt_limit) == (Status.QUEUED, 0, settings.MAX_ATTEMPTS)
    assert tasks_waiting() == [(str(job.pk),)]
    assert OrmQ.objects.get().key == "video"


def test_a_rollback_leaves_neither_job_nor_task():
    with transaction.atomic():
        jobs.enqueue(source_key=KEY)
        transaction.set_rollback(True)

    assert not TranscodeJob.objects.exists()
    assert not OrmQ.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_task_that_cannot_be_written_leaves_no_job(monkeypatch):
    def break_down(*args, **kwargs):
        raise ConnectionError

    monkeypatch.setattr("transcoding.queue.async_task", break_down)
    with pytest.raises(ConnectionError):
        jobs.enqueue(source_key=KEY)

    assert not TranscodeJob.objects.exists()


def test_one_source_has_one_job():
    jobs.enqueue(source_key=KEY)

    with pytest.raises(IntegrityError), transaction.atomic():
        jobs.enqueue(source_key=KEY)
    assert len(tasks_waiting()) == 1


def test_what_was_refused_before_it_was_stored_is_filed_without_a_task():
    job = jobs.refuse(source_key=KEY, code=FailureCode.EMPTY)

    assert (job.status, job.failure_code, job.attempt) == (Status.FAILED, "empty", 0)
    assert job.finished_at
    assert not OrmQ.objects.exists()
