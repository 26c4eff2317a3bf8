"""The clinician is told that videos are ready."""

import smtplib
from datetime import timedelta

import pytest
from django.utils import timezone

from encounters import invitations, notices
from encounters.callers import Caller
from encounters.models import Channel, Encounter
from tests.conftest import at_once, tasks_waiting
from tests.encounters.support import make_video
from transcoding import jobs
from transcoding.engine.contracts import FailureCode, Outcome, TranscodeResult
from transcoding.models import Status, TranscodeJob

pytestmark = pytest.mark.django_db


def finish(video):
    attempt = jobs.claim(video.job_id, host="worker-1")
    result = TranscodeResult(job=str(video.job_id), attempt=1, outcome=Outcome.SUCCEEDED)
    jobs.record_result(attempt, result)


def test_whoever_sent_the_link_is_told_once_and_reads_no_name(encounter, bob, mailoutbox, link):
    invitations.invite(caller=Caller(user=bob), encounter=encounter, channel=Channel.SCREEN)
    make_video(encounter, "Rosalind walking.MOV", Status.SUCCEEDED)

    assert notices.tell(encounter.reference) == "told"
    assert notices.tell(encounter.reference) == "told before"

    (mail,) = mailoutbox
    assert mail.to == ["bob@clinic.example"]
    assert f"http://testserver/encounters/{encounter.reference}/" in mail.body
    for private in ("Rosalind", "Quillfeather", "1958", "R-17", "gait", "walking", "Neurology"):
        assert private not in mail.subject + mail.body


def test_without_a_link_its_author_is_told(encounter, mailoutbox):
    make_video(encounter, "x", Status.SUCCEEDED)

    notices.tell(encounter.reference)

    assert mailoutbox[0].to == ["alice@clinic.example"]


def test_the_end_of_a_job_queues_the_notice(encounter):
    video = make_video(encounter, "x", Status.QUEUED)

    finish(video)

    assert tasks_waiting("encounters.notices.tell") == [(encounter.reference,)]


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_while_one_is_still_converting_nobody_is_told(encounter, mailoutbox, status):
    make_video(encounter, "done", Status.SUCCEEDED)
    make_video(encounter, "not yet", status)

    assert notices.tell(encounter.reference) == "not yet"
    assert mailoutbox == []


def test_what_was_given_up_holds_up_nobody(encounter, mailoutbox):
    make_video(encounter, "done", Status.SUCCEEDED)
    make_video(encounter, "broken", Status.FAILED)
    make_video(encounter, "removed", Status.QUEUED, removed_at=timezone.now())
    make_video(encounter, "still uploading")

    assert notices.tell(encounter.reference) == "told"
    assert len(mailoutbox) == 1


def test_a_later_visit_is_told_of_again(encounter, mailoutbox):
    make_video(encounter, "first", Status.SUCCEEDED)
    notices.tell(encounter.reference)
    make_video(encounter, "second", Status.SUCCEEDED, received_at=timezone.now() + timedelta(seconds=1))

    assert notices.tell(encounter.reference) == "told"
    assert len(mailoutbox) == 2


def test_where_nothing_can_be_watched_the_message_does_not_say_that_it_can(encounter, mailoutbox):
    video = make_video(encounter, "broken", Status.QUEUED)
    attempt = jobs.claim(video.job_id, host="worker-1")
    jobs.record_result(
        attempt,
        TranscodeResult(job="x", attempt=1, outcome=Outcome.FAILED, code=FailureCode.DAMAGED),
    )

    notices.tell(encounter.reference)

    assert all("ready to watch" not in mail.body for mail in mailoutbox)


def test_an_encounter_without_videos_is_no_news(encounter, mailoutbox):
    assert notices.tell(encounter.reference) == "not yet"
    assert mailoutbox == []


def test_a_job_that_belongs_to_no_video_tells_nobody(db):
    jobs.refuse(source_key="e5fa44f2b31/x.mov", code=FailureCode.EMPTY)
    notices.on_job_finished(TranscodeJob.objects.get())

    assert tasks_waiting("encounters.notices.tell") == []


def test_a_mail_server_that_is_away_is_tried_again_by_the_next_task(encounter, settings, mailoutbox):
    make_video(encounter, "x", Status.SUCCEEDED)
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    with pytest.raises((ConnectionError, smtplib.SMTPException)):
        notices.tell(encounter.reference)
    assert Encounter.objects.get().notified_at is None

    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    assert notices.tell(encounter.reference) == "told"


def test_a_video_that_an_admin_s_retry_made_watchable_is_told_too(encounter, mailoutbox):
    video = make_video(encounter, "late", Status.FAILED)
    notices.tell(encounter.reference)
    jobs.retry(video.job)
    finish(video)

    assert notices.tell(encounter.reference) == "told"
    assert len(mailoutbox) == 2


@pytest.mark.django_db(transaction=True)
def test_two_notices_at_once_send_one_mail(encounter, mailoutbox):
    make_video(encounter, "x", Status.SUCCEEDED)

    said = at_once(*[lambda: notices.tell(encounter.reference)] * 3)

    assert sorted(said) == ["told", "told before", "told before"]
    assert len(mailoutbox) == 1
