"""What the database itself refuses."""

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from django.utils import timezone

from tests.conftest import make_job
from transcoding.models import Rendition, Runner, Status, TranscodeAttempt

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def attempt(**fields):
    job = fields.pop("job", None) or make_job()
    return TranscodeAttempt.objects.create(
        **{"job": job, "number": 1, "runner": Runner.LOCAL, "host": "x", **fields}
    )


def two_attempts_of_one_number():
    job = make_job()
    attempt(job=job)
    attempt(job=job)


def two_renditions_of_one_kind():
    job = make_job()
    for key in "ab":
        Rendition.objects.create(
            job=job, kind="mp4", object_key=key, content_type="video/mp4", size=1, sha256="0" * 64
        )


VIOLATIONS = [
    ("job_status_known", lambda: make_job(status="asleep")),
    ("job_runner_known", lambda: make_job(runner="cloud")),
    ("job_progress_is_a_fraction", lambda: make_job(progress=-0.1)),
    ("job_progress_is_a_fraction", lambda: make_job(progress=1.1)),
    ("job_failure_code_iff_failed", lambda: make_job(Status.FAILED, failure_code="")),
    ("job_failure_code_iff_failed", lambda: make_job(Status.FAILED, failure_code="unheard_of")),
    ("job_failure_code_iff_failed", lambda: make_job(Status.SUCCEEDED, failure_code="damaged")),
    ("job_lease_iff_at_work", lambda: make_job(Status.RUNNING, lease_expires_at=None)),
    ("job_lease_iff_at_work", lambda: make_job(Status.QUEUED, lease_expires_at=NOW)),
    ("job_lease_iff_at_work", lambda: make_job(Status.SUCCEEDED, extras="running")),
    ("job_extras_only_of_succeeded", lambda: make_job(extras="waiting")),
    ("job_extras_only_of_succeeded", lambda: make_job(Status.SUCCEEDED, extras="unheard")),
    ("job_finished_iff_final", lambda: make_job(Status.SUCCEEDED, finished_at=None)),
    ("job_finished_iff_final", lambda: make_job(Status.QUEUED, finished_at=NOW)),
    ("job_barred_is_at_rest", lambda: make_job(barred_at=NOW)),
    ("job_barred_is_at_rest", lambda: make_job(Status.SUCCEEDED, extras="waiting", barred_at=NOW)),
    ("job_erased_only_when_barred", lambda: make_job(Status.SUCCEEDED, erased_at=NOW)),
    ("job_attempts_within_limit", lambda: make_job(attempt=4, attempt_limit=3)),
    ("attempt_number_unique_in_job", two_attempts_of_one_number),
    ("attempt_ended_iff_not_running", lambda: attempt(outcome="lost")),
    ("attempt_ended_iff_not_running", lambda: attempt(ended_at=NOW)),
    ("rendition_kind_unique_in_job", two_renditions_of_one_kind),
]


@pytest.mark.parametrize(("name", "violate"), VIOLATIONS)
def test_the_database_refuses(name, violate):
    # SQLite names the columns of a unique constraint, not the constraint.
    with pytest.raises(IntegrityError, match=f"{name}|UNIQUE constraint failed"), transaction.atomic():
        violate()


def test_every_constraint_is_violated_here():
    models = apps.get_app_config("transcoding").get_models()
    declared = {constraint.name for model in models for constraint in model._meta.constraints}

    assert {name for name, _ in VIOLATIONS} == declared
