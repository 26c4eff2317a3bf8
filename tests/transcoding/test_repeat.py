"""An admin has what succeeded converted again, here or elsewhere: the film stays until a new one is made."""

from dataclasses import replace

import pytest
from django.utils import timezone

from tests.conftest import make_job, signed_in, tasks_waiting
from tests.transcoding.test_extras import done, fall_silent, ready
from transcoding import jobs, remote, worker
from transcoding.aws.reports import News, Report
from transcoding.engine.contracts import FailureCode, Outcome, TranscodeResult
from transcoding.engine.keys import result_key
from transcoding.models import AttemptOutcome, Extras, Runner, Status, TranscodeAttempt, TranscodeJob
from transcoding.signals import job_finished
from transcoding.sweep import sweep

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _both_runners(settings):
    settings.LAMBDA_FUNCTION = "transcode"


@pytest.fixture
def finished():
    """A job that a worker has done, extras and all."""
    attempt = jobs.claim(make_job().pk, host="worker-1")
    assert jobs.record_result(attempt, ready(attempt))
    assert jobs.record_extras(attempt, done(attempt))
    return attempt.job


@pytest.fixture
def again(finished):
    """The attempt of the function, at work on it."""
    jobs.retry(finished, Runner.LAMBDA)
    return jobs.claim(finished.pk, host="lambda", runner=Runner.LAMBDA)


def film(job):
    return job.renditions.get(kind="mp4").sha256


def with_film(result, sha256):
    return replace(result, outputs=(replace(result.outputs[0], sha256=sha256), *result.outputs[1:]))


def failed(attempt, code=FailureCode.DAMAGED):
    return TranscodeResult(
        job=str(attempt.job_id),
        attempt=attempt.number,
        outcome=Outcome.FAILED,
        code=code,
        detail="moov atom not found",
    )


def told(attempt, result):
    return remote.take(
        Report(
            news=News.RESULT,
            source_key=attempt.job.source_key,
            source_etag="e",
            source_size=1,
            job=str(attempt.job_id),
            attempt=attempt.number,
            result=result,
        )
    )


def test_the_other_runner_is_rung_for_and_the_film_stays(finished, settings):
    jobs.retry(finished, Runner.LAMBDA)

    finished.refresh_from_db()
    assert (finished.status, finished.extras) == (Status.SUCCEEDED, Extras.WAITING)
    assert (finished.runner, finished.attempt_limit) == (Runner.LAMBDA, 1 + settings.MAX_ATTEMPTS)
    assert film(finished) == "a" * 64
    assert len(tasks_waiting("transcoding.remote.dispatch")) == 1
    assert jobs.claim(finished.pk, host="worker-1") is None


def test_the_new_film_takes_the_old_one_s_place_and_nobody_is_told_twice(again):
    heard = []

    def listen(**kwargs):
        heard.append(kwargs)

    job_finished.connect(listen, weak=False)
    try:
        assert told(again, with_film(ready(again), "b" * 64)).accepted
        assert film(again.job) == "b" * 64
        assert again.job.renditions.filter(kind="storyboard").exists()
        assert told(again, with_film(done(again), "b" * 64)).accepted
    finally:
        job_finished.disconnect(listen)

    again.job.refresh_from_db()
    assert (again.job.status, again.job.extras) == (Status.SUCCEEDED, Extras.DONE)
    assert film(again.job) == "b" * 64
    assert heard == []


def test_one_that_fails_leaves_everything_as_it_was(again):
    assert told(again, failed(again)).accepted

    job = TranscodeJob.objects.get()
    assert (job.status, job.extras, job.failure_code) == (Status.SUCCEEDED, Extras.DONE, "")
    assert (film(job), job.lease_expires_at) == ("a" * 64, None)
    assert {one.kind for one in job.renditions.all()} == {"mp4", "storyboard"}
    attempt = TranscodeAttempt.objects.get(number=2)
    assert (attempt.outcome, attempt.detail) == (AttemptOutcome.FAILED, "damaged: moov atom not found")
    assert job.last_try_failed


def test_one_that_is_never_heard_of_again_leaves_it_too(finished, store, settings):
    settings.MAX_ATTEMPTS = 1
    jobs.retry(finished, Runner.LAMBDA)
    jobs.claim(finished.pk, host="lambda", runner=Runner.LAMBDA)
    fall_silent()

    sweep()

    job = TranscodeJob.objects.get()
    assert (job.status, job.extras, film(job)) == (Status.SUCCEEDED, Extras.DONE, "a" * 64)


def test_a_failure_that_nobody_reported_is_found_by_the_sweep(again, store):
    store.put(result_key(again.job.source_key), failed(again).to_json().encode(), "application/json")
    fall_silent()

    assert sweep()["recovered"] == 1

    job = TranscodeJob.objects.get()
    assert (job.status, job.extras, film(job)) == (Status.SUCCEEDED, Extras.DONE, "a" * 64)


def test_a_film_that_was_replaced_by_a_worker_that_died_is_known_by_its_new_checksum(again, store):
    left = with_film(ready(again), "b" * 64)
    store.put(result_key(again.job.source_key), left.to_json().encode(), "application/json")
    fall_silent()

    assert sweep()["requeued"] == 1

    job = TranscodeJob.objects.get()
    assert (job.status, job.extras, film(job)) == (Status.SUCCEEDED, Extras.WAITING, "b" * 64)


def test_while_it_is_made_again_it_cannot_be_asked_for_once_more(again):
    with pytest.raises(jobs.NotRetryable):
        jobs.retry(TranscodeJob.objects.get(), Runner.LOCAL)


def test_without_naming_a_runner_what_succeeded_is_left_alone(finished):
    with pytest.raises(jobs.NotRetryable):
        jobs.retry(finished)
    assert TranscodeJob.objects.get().extras == Extras.DONE


def test_a_runner_that_this_portal_lacks_is_refused(finished, settings):
    settings.LAMBDA_FUNCTION = ""
    with pytest.raises(jobs.NotRetryable):
        jobs.retry(finished, Runner.LAMBDA)


@pytest.mark.django_db(transaction=True)
def test_a_worker_makes_it_again_for_real_and_a_damaged_original_changes_nothing(
    store, short_clip, settings, tmp_path
):
    settings.WORK_DIR = tmp_path
    job = make_job()
    store.upload(short_clip, job.source_key, "video/quicktime", {})
    assert worker.convert(str(job.pk)) == "succeeded"
    job.refresh_from_db()
    mp4 = job.renditions.get(kind="mp4")
    jobs.retry(job, Runner.LOCAL)

    assert worker.convert(str(job.pk)) == "succeeded"

    job.refresh_from_db()
    assert (job.extras, job.attempt) == (Extras.DONE, 2)
    assert job.renditions.get(kind="mp4").object_key == mp4.object_key
    assert store.size(mp4.object_key) == job.renditions.get(kind="mp4").size

    made = store.read(mp4.object_key)
    store.put(job.source_key, b"no video at all", "video/quicktime")
    jobs.retry(job, Runner.LOCAL)
    TranscodeJob.objects.update(available_at=timezone.now())
    assert worker.convert(str(job.pk)) == "failed"

    job.refresh_from_db()
    assert (job.status, job.extras) == (Status.SUCCEEDED, Extras.DONE)
    assert store.read(mp4.object_key) == made


# On the admin's page


def test_an_admin_is_asked_before_it_is_converted_again(admin_client, finished):
    address = f"/conversions/{finished.pk}/"
    page = " ".join(admin_client.get(address).content.decode().split())
    assert "The film that is there stays watchable" in page
    assert "Convert again on a worker" in page
    assert "hx-trigger" not in page

    answer = admin_client.post(f"{address}retry/", {"runner": "lambda"})

    assert (answer.status_code, answer.url) == (302, address)
    page = admin_client.get(address).content.decode()
    assert "Being converted again in Lambda" in page
    assert "Convert again on a worker" not in page
    assert "hx-trigger" in page


def test_the_page_says_that_nothing_was_replaced(admin_client, again):
    told(again, failed(again))

    page = admin_client.get(f"/conversions/{again.job_id}/").content.decode()

    assert "nothing was replaced" in page
    assert "damaged: moov atom not found" in page
    assert "Convert again" in page


def test_only_an_admin_may(alice, finished):
    answer = signed_in(alice).post(f"/conversions/{finished.pk}/retry/", {"runner": "lambda"})

    assert answer.status_code == 404
    assert TranscodeJob.objects.get().extras == Extras.DONE
