"""The Lambda runner: calling the function, and finding the way on when its word is lost."""

import json
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone
from django_q.models import OrmQ

from tests.aws.fake_lambda import FakeLambda
from tests.conftest import make_job, signed_in, tasks_waiting
from transcoding import jobs, remote
from transcoding.aws.reports import SOURCE_ETAG
from transcoding.engine.contracts import Extras, FailureCode, Outcome, TranscodeRequest, TranscodeResult
from transcoding.engine.keys import result_key
from transcoding.models import AttemptOutcome, Runner, Status, TranscodeAttempt, TranscodeJob
from transcoding.sweep import sweep

DISPATCH = "transcoding.remote.dispatch"
KEY = f"e5fa44f2b31c0d99/{'7448d879' * 5}.mov"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def lambda_runner(settings):
    settings.TRANSCODE_RUNNER = "lambda"
    settings.LAMBDA_FUNCTION = "transcode"
    settings.CALLBACK_KEYS = {"transcode": "a secret of at least thirty-two characters"}


@pytest.fixture
def function(settings):
    with FakeLambda() as fake:
        settings.LAMBDA_ENDPOINT = fake.address
        remote._client.cache_clear()
        yield fake
    remote._client.cache_clear()


def wait(minutes):
    ago = timedelta(minutes=minutes)
    TranscodeJob.objects.update(
        rung_at=F("rung_at") - ago,
        available_at=F("available_at") - ago,
        lease_expires_at=F("lease_expires_at") - ago,
    )
    OrmQ.objects.update(lock=F("lock") - ago)


def leave_result(store, **changes):
    """The result file of a function whose report was lost."""
    usual = {"job": "of-the-event", "outcome": Outcome.SUCCEEDED, "extras": Extras.DONE}
    result = TranscodeResult(**{**usual, **changes})
    etag = changes.pop("etag", None) or store.describe(KEY).etag
    store.client.put_object(
        Bucket=store.bucket,
        Key=result_key(KEY),
        Body=result.to_json().encode(),
        Metadata={SOURCE_ETAG: etag},
    )


def test_a_new_job_is_for_the_function_and_its_task_is_a_light_one():
    job = jobs.enqueue(source_key=KEY)

    assert job.runner == Runner.LAMBDA
    assert tasks_waiting(DISPATCH) == [(str(job.pk),)]
    assert OrmQ.objects.get().key == "portal"
    assert tasks_waiting() == []


def test_the_function_is_called_with_the_request_and_not_waited_for(function):
    job = jobs.enqueue(source_key=KEY)

    assert remote.dispatch(str(job.pk)) == "called"

    job.refresh_from_db()
    ((name, kind, body),) = function.calls
    assert (name, kind) == ("transcode", "Event")
    assert TranscodeRequest.from_json(body) == jobs.request_for(job)
    assert (job.status, job.attempt) == (Status.RUNNING, 1)
    assert job.lease_expires_at > timezone.now() + timedelta(minutes=15)


def test_a_task_that_comes_twice_calls_once(function):
    job = jobs.enqueue(source_key=KEY)

    assert [remote.dispatch(str(job.pk)) for _ in range(2)] == ["called", "nothing to do"]
    assert len(function.calls) == 1


def test_a_local_job_is_not_sent_and_the_functions_job_not_done_here(function):
    local, remote_job = make_job(), make_job(runner=Runner.LAMBDA)

    assert remote.dispatch(str(local.pk)) == "nothing to do"
    assert jobs.claim(remote_job.pk, host="worker-1") is None
    assert function.calls == []


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_a_function_that_cannot_be_called_is_a_fault(function, status):
    function.status = status
    job = jobs.enqueue(source_key=KEY)

    assert remote.dispatch(str(job.pk)) == "fault"

    job.refresh_from_db()
    attempt = TranscodeAttempt.objects.get()
    assert job.status == Status.QUEUED
    assert job.available_at > timezone.now()
    assert attempt.outcome == AttemptOutcome.FAULT
    assert function.address not in attempt.detail


def test_after_a_fault_the_sweep_has_it_called_again(function):
    job = jobs.enqueue(source_key=KEY)
    function.status = 500
    remote.dispatch(str(job.pk))
    OrmQ.objects.all().delete()
    wait(1)

    assert sweep()["rung"] == 1
    assert tasks_waiting(DISPATCH) == [(str(job.pk),)]


# The bucket's event calls it


@pytest.fixture
def by_event(settings):
    settings.LAMBDA_TRIGGER = "event"


@pytest.fixture
def waiting(by_event, store):
    store.put(KEY, b"a video", "video/quicktime")
    return jobs.enqueue(source_key=KEY)


def test_where_the_event_calls_we_do_not(waiting):
    assert OrmQ.objects.count() == 0
    wait(4)
    assert sweep()["rung"] == 0


def test_an_event_that_is_lost_is_made_up_for(waiting):
    wait(6)

    assert sweep()["rung"] == 1
    assert tasks_waiting(DISPATCH) == [(str(waiting.pk),)]


def test_a_report_that_is_lost_is_made_up_for_by_the_result_file(waiting, store):
    leave_result(store)
    wait(2)

    assert sweep()["recovered"] == 1

    waiting.refresh_from_db()
    assert (waiting.status, waiting.extras, waiting.attempt) == (Status.SUCCEEDED, "done", 1)


def test_a_failure_whose_report_is_lost_is_taken_too(waiting, store):
    leave_result(store, outcome=Outcome.FAILED, code=FailureCode.DAMAGED, extras=Extras.NONE)
    wait(2)
    sweep()

    waiting.refresh_from_db()
    assert (waiting.status, waiting.failure_code) == (Status.FAILED, "damaged")


def test_the_result_of_another_version_is_not_this_ones(waiting, store):
    leave_result(store)
    store.put(KEY, b"another video", "video/quicktime")
    wait(2)

    assert sweep()["recovered"] == 0


@pytest.mark.parametrize("content", [b"no JSON", b"{}"])
def test_a_result_file_that_makes_no_sense_is_none(waiting, store, content):
    store.client.put_object(
        Bucket=store.bucket,
        Key=result_key(KEY),
        Body=content,
        Metadata={SOURCE_ETAG: store.describe(KEY).etag},
    )
    wait(2)

    assert sweep()["recovered"] == 0


def test_a_called_function_whose_report_is_lost_is_made_up_for(function, store):
    store.put(KEY, b"a video", "video/quicktime")
    job = jobs.enqueue(source_key=KEY)
    remote.dispatch(str(job.pk))
    leave_result(store, job=str(job.pk), attempt=1)
    wait(30)

    assert sweep()["recovered"] == 1
    job.refresh_from_db()
    assert job.status == Status.SUCCEEDED


def test_a_function_that_falls_silent_is_called_again(function, store):
    job = jobs.enqueue(source_key=KEY)
    remote.dispatch(str(job.pk))
    OrmQ.objects.all().delete()
    wait(30)

    assert sweep()["requeued"] == 1
    assert tasks_waiting(DISPATCH) == [(str(job.pk),)]


def test_a_dead_store_does_not_stop_the_sweep(waiting, unreachable_store):
    wait(6)
    assert sweep()["rung"] == 1


# The other way


@pytest.mark.parametrize(("before", "after"), [(Runner.LOCAL, Runner.LAMBDA), (Runner.LAMBDA, Runner.LOCAL)])
def test_an_admin_has_a_failed_job_done_the_other_way(admin, before, after):
    job = make_job(Status.FAILED, runner=before)
    client = signed_in(admin)
    page = client.get(f"/conversions/{job.pk}/").content.decode()
    assert f"Try again {after.where}" in page
    assert f"Try again {before.where}" not in page

    client.post(f"/conversions/{job.pk}/retry/", {"runner": after})

    job.refresh_from_db()
    assert (job.status, job.runner) == (Status.QUEUED, after)
    assert tasks_waiting(DISPATCH if after == Runner.LAMBDA else "transcoding.worker.convert") == [
        (str(job.pk),)
    ]


def test_an_admin_hands_a_waiting_job_over(admin):
    job = jobs.enqueue(source_key=KEY)
    OrmQ.objects.all().delete()
    client = signed_in(admin)
    assert "Convert on a worker instead" in client.get(f"/conversions/{job.pk}/").content.decode()

    client.post(f"/conversions/{job.pk}/hand-over/", {"runner": "local"})

    job.refresh_from_db()
    assert job.runner == Runner.LOCAL
    assert tasks_waiting() == [(str(job.pk),)]
    assert remote.dispatch(str(job.pk)) == "nothing to do"


def test_what_runs_is_not_handed_over(admin):
    job = make_job(Status.RUNNING, runner=Runner.LAMBDA)

    answer = signed_in(admin).post(f"/conversions/{job.pk}/hand-over/", {"runner": "local"})

    job.refresh_from_db()
    assert (answer.status_code, job.runner) == (409, Runner.LAMBDA)


def test_without_a_function_there_is_no_other_way(admin, settings):
    settings.TRANSCODE_RUNNER, settings.LAMBDA_FUNCTION = "local", ""
    job = make_job(Status.FAILED)
    client = signed_in(admin)

    assert "in Lambda" not in client.get(f"/conversions/{job.pk}/").content.decode()
    assert client.post(f"/conversions/{job.pk}/retry/", {"runner": "lambda"}).status_code == 409
    job.refresh_from_db()
    assert job.status == Status.FAILED


@pytest.mark.parametrize("path", ["retry", "hand-over"])
def test_clinicians_may_not(staff_client, path):
    job = make_job(Status.FAILED)
    assert staff_client.post(f"/conversions/{job.pk}/{path}/", {"runner": "lambda"}).status_code == 404


def test_a_request_is_plain_json():
    job = jobs.enqueue(source_key=KEY)
    assert json.loads(jobs.request_for(job).to_json())["source_key"] == KEY
