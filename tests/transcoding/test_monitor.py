"""The admin's pages about conversions."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from encounters.models import Video
from tests.conftest import make_job, signed_in, tasks_waiting
from transcoding.models import Rendition, Runner, Status, TranscodeAttempt, TranscodeJob

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def finished_job(number=1):
    """A job with all that its row shows."""
    now = timezone.now()
    job = make_job(
        Status.SUCCEEDED,
        attempt=1,
        started_at=now - timedelta(seconds=12),
        finished_at=now,
        plan={"video": "encode", "audio": "copy", "reasons": ["video_codec: HEVC does not play everywhere"]},
    )
    TranscodeAttempt.objects.create(job=job, number=1, runner=Runner.LOCAL, host=f"worker-{number}")
    Rendition.objects.create(
        job=job, kind="mp4", object_key="x.web.mp4", content_type="video/mp4", size=1, sha256="a" * 64
    )
    return job


def test_an_admin_sees_every_conversion(admin_client):
    jobs = {status: make_job(status, progress=0.42) for status in Status}

    page = admin_client.get("/conversions/").content.decode()

    for job in jobs.values():
        assert str(job.pk) in page
    assert "42 %" in page


def test_a_failure_is_shown_by_code_and_in_words(admin_client):
    job = make_job(Status.FAILED, failure_code="not_a_video", failure_detail="moov atom not found")

    for address in ("/conversions/", f"/conversions/{job.pk}/"):
        page = admin_client.get(address).content.decode()
        assert "<code>not_a_video</code>" in page
        assert "This file is not a video." in page
    assert "moov atom not found" in page


def test_a_job_s_page_tells_its_story(admin_client):
    job = finished_job()

    page = admin_client.get(f"/conversions/{job.pk}/").content.decode()

    for text in [
        job.source_key,
        "HEVC does not play everywhere",
        "x.web.mp4",
        "worker-1",
        "1 of at most 3",
        "12.0 s",
    ]:
        assert text in page


def test_one_state_can_be_asked_for(admin_client):
    failed, waiting = make_job(Status.FAILED), make_job()

    page = admin_client.get("/conversions/?status=failed").content.decode()

    assert str(failed.pk) in page
    assert str(waiting.pk) not in page


def test_a_state_that_is_none_shows_all(admin_client):
    job = make_job()

    assert str(job.pk) in admin_client.get("/conversions/?status=nonsense").content.decode()


def test_each_state_is_counted(admin_client):
    for status in (Status.FAILED, Status.FAILED, Status.QUEUED):
        make_job(status)

    counts = {value: count for value, _, count in admin_client.get("/conversions/").context["counts"]}

    assert counts == {"queued": 1, "running": 0, "succeeded": 0, "failed": 2, "cancelled": 0}


def test_without_conversions_it_says_so(admin_client):
    assert "No conversions yet" in admin_client.get("/conversions/").content.decode()
    assert "None in this state" in admin_client.get("/conversions/?status=failed").content.decode()


@pytest.mark.parametrize("count", [1, 20])
def test_the_list_asks_the_database_as_often_for_twenty_jobs_as_for_one(
    admin_client, django_assert_num_queries, count
):
    for number in range(count):
        finished_job(number)

    with django_assert_num_queries(7):
        admin_client.get("/conversions/")


def test_the_list_has_pages(admin_client):
    for _ in range(51):
        make_job()

    first, second = admin_client.get("/conversions/"), admin_client.get("/conversions/?page=2")

    assert len(first.context["page"]) == 50
    assert len(second.context["page"]) == 1


def test_polling_gets_the_table_alone(admin_client):
    make_job()

    page = admin_client.get("/conversions/", headers=HTMX).content.decode()

    assert 'id="live"' in page
    assert "<html" not in page


@pytest.mark.parametrize("status", Status)
def test_a_job_s_page_polls_until_the_job_is_final(admin_client, status):
    job = make_job(status)

    page = admin_client.get(f"/conversions/{job.pk}/", headers=HTMX).content.decode()

    assert ("hx-trigger" in page) == (status in {Status.QUEUED, Status.RUNNING})


def test_no_patient_and_no_file_is_named(admin_client, encounter):
    job = make_job(Status.FAILED, source_key=f"{encounter.reference}/a.mov")
    Video.objects.create(
        encounter=encounter,
        original_name="Rosalind walking.MOV",
        size=1,
        part_size=8,
        fingerprint="f",
        source_key=job.source_key,
        received_at=timezone.now(),
        job=job,
    )

    for address in ("/conversions/", f"/conversions/{job.pk}/"):
        page = admin_client.get(address).content.decode()
        for private in ("Rosalind", "Quillfeather", "R-17", "walking", "1958", "gait"):
            assert private not in page


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_an_admin_has_a_failed_one_tried_again(admin_client, status):
    job = make_job(status)
    assert "Try again" in admin_client.get(f"/conversions/{job.pk}/").content.decode()

    answer = admin_client.post(f"/conversions/{job.pk}/retry/")

    assert (answer.status_code, answer.url) == (302, f"/conversions/{job.pk}/")
    assert TranscodeJob.objects.get().status == Status.QUEUED
    assert tasks_waiting() == [(str(job.pk),)]


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING, Status.SUCCEEDED])
def test_what_did_not_fail_is_not_tried_again(admin_client, status):
    job = make_job(status)
    assert "Try again" not in admin_client.get(f"/conversions/{job.pk}/").content.decode()

    answer = admin_client.post(f"/conversions/{job.pk}/retry/")

    assert answer.status_code == 409
    assert "Only a conversion that has ended can be tried again" in answer.content.decode()
    assert TranscodeJob.objects.get().status == status


# Who may not


@pytest.mark.parametrize("address", ["/conversions/", "/conversions/{pk}/"])
def test_the_monitor_is_for_admins(address, admin, alice, charlie):
    address = address.format(pk=make_job().pk)

    assert signed_in(admin).get(address).status_code == 200
    assert signed_in(alice).get(address).status_code == 404
    assert signed_in(charlie).get(address).status_code == 404
    anonymous = Client().get(address)
    assert (anonymous.status_code, anonymous.url) == (302, f"/accounts/login/?next={address}")


def test_only_an_admin_may_have_a_job_tried_again(alice):
    job = make_job(Status.FAILED)
    address = f"/conversions/{job.pk}/retry/"

    assert signed_in(alice).post(address).status_code == 404
    assert Client().post(address).status_code == 302
    assert TranscodeJob.objects.get().status == Status.FAILED


def test_trying_again_needs_the_csrf_token_and_a_post(admin):
    job = make_job(Status.FAILED)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin)

    assert strict.post(f"/conversions/{job.pk}/retry/").status_code == 403
    assert strict.get(f"/conversions/{job.pk}/retry/").status_code == 405
    assert TranscodeJob.objects.get().status == Status.FAILED


def test_a_job_that_is_not_there_gives_404(admin_client):
    missing = "/conversions/6f1c1e0a-8d0b-4a5e-9a3f-0d6a2f6d8c11/"

    assert admin_client.get(missing).status_code == 404
    assert admin_client.post(f"{missing}retry/").status_code == 404
    assert admin_client.get("/conversions/nonsense/").status_code == 404
