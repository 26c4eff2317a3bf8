"""The door for the function's reports: who may come in, and that everything counts once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests.conftest import at_once, make_job
from transcoding import jobs, remote
from transcoding.aws import reports
from transcoding.aws.reports import News, Report, signed
from transcoding.engine.contracts import Extras as ResultExtras
from transcoding.engine.contracts import FailureCode, Outcome, Output, OutputKind, TranscodeResult
from transcoding.models import Extras, Runner, SeenNonce, Status, TranscodeAttempt, TranscodeJob

URL = "/transcoding/callback/"
SECRET = "a secret of at least thirty-two characters"
KEY = f"e5fa44f2b31c0d99/{'7448d879' * 5}.mov"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def keys(settings):
    settings.CALLBACK_KEYS = {"transcode": SECRET}
    settings.LAMBDA_FUNCTION = "transcode"


def post(report, *, key="transcode", secret=SECRET, **changes):
    body = report if isinstance(report, bytes) else report.to_json().encode()
    headers = signed(body, key=key, secret=secret) | changes.pop("headers", {})
    return Client(enforce_csrf_checks=True).post(
        URL, changes.get("body", body), content_type="application/json", headers=headers
    )


@pytest.fixture
def job():
    return make_job(source_key=KEY, runner=Runner.LAMBDA)


@pytest.fixture
def attempt(job):
    return jobs.claim(job.pk, host="lambda", runner=Runner.LAMBDA)


def report_on(attempt, news, **more):
    return Report(
        news=news,
        source_key=KEY,
        source_etag="e",
        source_size=5,
        job=str(attempt.job_id),
        attempt=attempt.number,
        **more,
    )


def of_event(news, **more):
    return Report(news=news, source_key=KEY, source_etag="e", source_size=5, host="lambda 1", **more)


def result(**changes):
    stem = KEY.removesuffix(".mov")
    mp4 = Output(
        kind=OutputKind.MP4, key=f"{stem}.web.mp4", content_type="video/mp4", size=1, sha256="a" * 64
    )
    usual = {"job": "j", "outcome": Outcome.SUCCEEDED, "extras": ResultExtras.DONE, "outputs": (mp4,)}
    return TranscodeResult(**{**usual, **changes})


FAILED = result(outcome=Outcome.FAILED, code=FailureCode.DAMAGED, extras=ResultExtras.NONE, outputs=())


def test_a_result_is_filed(attempt):
    answer = post(report_on(attempt, News.RESULT, result=result()))

    job = TranscodeJob.objects.get()
    assert (answer.status_code, answer.json()) == (200, {"accepted": True, "request": None})
    assert (job.status, job.extras) == (Status.SUCCEEDED, Extras.DONE)
    assert job.renditions.get().kind == "mp4"


def test_what_can_be_watched_is_filed_before_its_extras(attempt):
    ready = result(extras=ResultExtras.PENDING)
    assert post(report_on(attempt, News.RESULT, result=ready)).json()["accepted"]
    job = TranscodeJob.objects.get()
    assert (job.status, job.extras) == (Status.SUCCEEDED, Extras.RUNNING)

    assert post(report_on(attempt, News.RESULT, result=result())).json()["accepted"]
    job.refresh_from_db()
    assert (job.extras, job.lease_expires_at) == (Extras.DONE, None)


@pytest.mark.parametrize("sent", [result(extras=ResultExtras.PENDING), result(), FAILED])
def test_the_same_report_signed_anew_gets_the_same_answer_and_changes_nothing(attempt, sent):
    """The function tries again when an answer is lost on its way."""
    first = post(report_on(attempt, News.RESULT, result=sent))
    before = TranscodeJob.objects.values().get()

    second = post(report_on(attempt, News.RESULT, result=sent))

    assert (first.json(), second.json()) == ({"accepted": True, "request": None},) * 2
    assert TranscodeJob.objects.values().get() == before


def test_a_failure_is_filed_with_its_code(attempt):
    post(report_on(attempt, News.RESULT, result=FAILED))
    assert TranscodeJob.objects.get().failure_code == "damaged"


def test_progress_is_shown_and_renews_the_lease(attempt):
    TranscodeJob.objects.update(lease_expires_at=timezone.now())

    assert post(report_on(attempt, News.WORKING, progress=0.42)).json()["accepted"]

    job = TranscodeJob.objects.get()
    assert job.progress == 0.42
    assert job.lease_expires_at > timezone.now() + timedelta(seconds=60)


def test_a_fault_gives_the_job_back(attempt):
    post(report_on(attempt, News.FAULT, detail="DiskFull"))

    assert TranscodeJob.objects.get().status == Status.QUEUED
    assert TranscodeAttempt.objects.get().detail == "DiskFull"


def test_a_job_that_was_cancelled_is_to_be_stopped(attempt):
    attempt.job.move(Status.RUNNING, to=Status.CANCELLED, lease_expires_at=None, finished_at=timezone.now())

    assert not post(report_on(attempt, News.WORKING, progress=0.5)).json()["accepted"]
    assert not post(report_on(attempt, News.RESULT, result=result())).json()["accepted"]
    assert TranscodeJob.objects.get().status == Status.CANCELLED


def test_an_attempt_that_was_given_up_changes_nothing(attempt):
    jobs.record_loss(attempt)

    assert not post(report_on(attempt, News.RESULT, result=result())).json()["accepted"]
    assert TranscodeJob.objects.get().status == Status.QUEUED


def test_an_attempt_of_a_local_worker_is_not_the_functions_to_report_on():
    job = make_job(source_key=KEY)
    attempt = jobs.claim(job.pk, host="worker-1")

    assert not post(report_on(attempt, News.RESULT, result=result())).json()["accepted"]
    job.refresh_from_db()
    assert job.status == Status.RUNNING


def test_a_report_about_another_source_than_the_jobs_is_not_taken(attempt):
    report = replace(report_on(attempt, News.RESULT, result=result()), source_key=KEY.replace("7448", "7449"))

    assert not post(report).json()["accepted"]


# An event began it


def test_an_event_may_begin_what_waits_for_the_function(job):
    answer = post(of_event(News.BEGIN)).json()

    job.refresh_from_db()
    assert answer["accepted"]
    assert (answer["request"]["job"], answer["request"]["attempt"]) == (str(job.pk), 1)
    assert answer["request"]["source_key"] == KEY
    assert (job.status, job.attempts.get().host) == (Status.RUNNING, "lambda 1")


def test_of_two_events_one_begins(job):
    assert post(of_event(News.BEGIN)).json()["accepted"]
    assert not post(of_event(News.BEGIN)).json()["accepted"]
    assert TranscodeAttempt.objects.count() == 1


@pytest.mark.parametrize("status", [Status.RUNNING, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED])
def test_an_event_begins_nothing_that_is_under_way_or_done(status):
    make_job(status, source_key=KEY, runner=Runner.LAMBDA)
    assert not post(of_event(News.BEGIN)).json()["accepted"]


def test_an_event_takes_nothing_from_the_local_workers():
    make_job(source_key=KEY)
    assert not post(of_event(News.BEGIN)).json()["accepted"]


def test_an_object_of_nobody_is_not_begun():
    assert not post(of_event(News.BEGIN)).json()["accepted"]
    assert not TranscodeJob.objects.exists()


def test_a_result_of_a_function_that_could_not_ask_before_is_filed(job):
    assert post(of_event(News.RESULT, result=result())).json()["accepted"]

    job.refresh_from_db()
    assert (job.status, job.attempt, job.extras) == (Status.SUCCEEDED, 1, Extras.DONE)


# Who may not


def logged(caplog):
    return [vars(record).get("reason") for record in caplog.records if record.message == "report refused"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"secret": "another secret of thirty-two characters"}, "wrong signature"),
        ({"key": "nobody"}, "unknown key"),
        ({"body": b"{}"}, "wrong signature"),
        ({"headers": {reports.TIMESTAMP: "1700000000"}}, "wrong signature"),
        ({"headers": {reports.SIGNATURE: ""}}, "wrong signature"),
    ],
)
def test_what_is_not_signed_rightly_is_refused_and_logged(attempt, caplog, changes, reason):
    answer = post(report_on(attempt, News.RESULT, result=result()), **changes)

    assert (answer.status_code, answer.json()) == (403, {"code": "refused"})
    assert logged(caplog) == [reason]
    assert TranscodeJob.objects.get().status == Status.RUNNING


def test_an_old_report_is_refused_and_logged(attempt, caplog, monkeypatch):
    long_ago = timezone.now().timestamp() - 301
    body = report_on(attempt, News.RESULT, result=result()).to_json().encode()
    with monkeypatch.context() as patch:
        patch.setattr(reports.time, "time", lambda: long_ago)
        headers = signed(body, key="transcode", secret=SECRET)

    assert post(body, headers=headers).status_code == 403
    assert logged(caplog) == ["old time stamp"]


def test_a_replay_is_refused_and_logged(attempt, caplog):
    body = report_on(attempt, News.WORKING, progress=0.2).to_json().encode()
    headers = signed(body, key="transcode", secret=SECRET)

    assert post(body, headers=headers).status_code == 200
    assert post(body, headers=headers).status_code == 403
    assert logged(caplog) == ["replay"]


def test_nonces_are_forgotten_once_their_signature_holds_no_more():
    SeenNonce.objects.create(nonce="old", at=timezone.now() - timedelta(minutes=12))
    SeenNonce.objects.create(nonce="new", at=timezone.now() - timedelta(minutes=9))

    remote.forget_nonces()

    assert [seen.nonce for seen in SeenNonce.objects.all()] == ["new"]


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b"{}", b'{"news":"party"}', b'{"news":"begin"}'])
def test_what_is_signed_but_makes_no_sense_is_told_apart(body):
    answer = post(body)
    assert (answer.status_code, answer.json()) == (400, {"code": "not_understood"})


def test_a_job_that_is_no_id_is_no_traceback(attempt):
    assert post(replace(report_on(attempt, News.WORKING), job="x")).status_code == 400


def test_only_post(attempt, client):
    assert client.get(URL).status_code == 405


def test_without_keys_nobody_may_report(attempt, settings):
    settings.CALLBACK_KEYS = {}
    assert post(report_on(attempt, News.RESULT, result=result())).status_code == 403


@pytest.mark.django_db(transaction=True)
def test_of_two_replays_at_once_one_is_taken(attempt):
    body = report_on(attempt, News.WORKING, progress=0.2).to_json().encode()
    headers = signed(body, key="transcode", secret=SECRET)

    answers = at_once(*[lambda: post(body, headers=headers).status_code] * 2)

    assert sorted(answers) == [200, 403]
