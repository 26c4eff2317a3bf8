"""What the database itself refuses."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from django.utils import timezone

from encounters.models import (
    AccessRecord,
    Consent,
    ConsentWording,
    Encounter,
    Erasure,
    Invitation,
    LegalHold,
    MessageText,
    Patient,
    SearchTerm,
    UploadPart,
    Video,
)
from tests.conftest import BIRTH_DATE, make_job
from tests.encounters.support import make_video
from transcoding.models import Status

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def same_record_number(encounter):
    Patient.objects.create(team=encounter.team, record_number="R-17", birth_date=BIRTH_DATE)


def one_search_term_twice(encounter):
    for _ in range(2):
        SearchTerm.objects.create(patient=encounter.patient, term=1)


def invitation(encounter, **fields):
    return Invitation.objects.create(
        encounter=encounter,
        token_hash="0" * 64,
        channel="screen",
        created_by=encounter.created_by,
        **{"expires_at": NOW + timedelta(days=1), **fields},
    )


def two_open_uploads_of_one_file(encounter):
    for name in ("one", "two"):
        make_video(encounter, name, fingerprint="the same")


def two_parts_of_one_number(encounter):
    video = make_video(encounter, "x")
    for sha256 in "ab":
        UploadPart.objects.create(video=video, number=1, sha256=sha256)


def record_of_two_people(encounter):
    AccessRecord.objects.create(verb="x", user=encounter.created_by, invitation=invitation(encounter))


def consent(**fields):
    given = {"purpose": "diagnosis", "version": "1", "language": "cy", "text": "x", **fields}
    return lambda encounter: Consent.objects.create(encounter=encounter, **given)


def consent_twice(encounter):
    for _ in range(2):
        consent()(encounter)


def wording_twice(encounter):
    for _ in range(2):
        ConsentWording.objects.create(
            team=encounter.team, version="1", language="cy", created_by=encounter.created_by
        )


def message_text(*channels):
    def create(encounter):
        for channel in channels:
            MessageText.objects.create(team=encounter.team, channel=channel, language="cy", body="x")

    return create


def two_holds(encounter):
    for _ in range(2):
        LegalHold.objects.create(encounter=encounter, placed_by=encounter.created_by)


def hold_released_by_nobody(encounter):
    LegalHold.objects.create(encounter=encounter, placed_by=encounter.created_by, released_at=NOW)


def two_erasures_of_all(encounter):
    for _ in range(2):
        Erasure.objects.create(encounter=encounter, why="withdrawn")


def update(**fields):
    return lambda encounter: Encounter.objects.update(**fields)


VIOLATIONS = [
    ("patient_record_number_unique_in_team", same_record_number),
    ("search_term_once_a_patient", one_search_term_twice),
    ("consent_stands_once_for_each_purpose", consent_twice),
    ("consent_purpose_known", consent(purpose="adverts")),
    ("consent_names_only_a_proxy", consent(proxy_name="Ann")),
    ("consent_has_a_wording", consent(text="")),
    ("consent_has_a_wording", consent(version="")),
    ("wording_unique_in_team_and_language", wording_twice),
    ("message_text_once_in_team_and_language", message_text("email", "email")),
    ("message_text_of_a_message", message_text("screen")),
    ("invitation_sent_or_failed", lambda encounter: invitation(encounter, sent_at=NOW, failure="refused")),
    ("encounter_has_a_patient_unless_erased", update(patient=None)),
    ("hold_placed_once", two_holds),
    ("hold_released_by_somebody", hold_released_by_nobody),
    ("erasure_of_encounter_once", two_erasures_of_all),
    (
        "erasure_begun_before_done",
        lambda encounter: Erasure.objects.create(encounter=encounter, why="withdrawn", done_at=NOW),
    ),
    ("video_erased_only_when_removed", lambda encounter: make_video(encounter, "x", erased_at=NOW)),
    (
        "invitation_expires_after_it_began",
        lambda encounter: invitation(encounter, created_at=NOW, expires_at=NOW),
    ),
    ("video_job_iff_received", lambda encounter: make_video(encounter, "x", received_at=NOW)),
    ("video_job_iff_received", lambda encounter: make_video(encounter, "x", job=make_job())),
    ("video_size_not_negative", lambda encounter: make_video(encounter, "x", size=-1)),
    ("video_upload_open_once", two_open_uploads_of_one_file),
    ("part_number_unique_in_video", two_parts_of_one_number),
    ("access_by_one_person", record_of_two_people),
]


@pytest.mark.parametrize(("name", "violate"), VIOLATIONS)
def test_the_database_refuses(encounter, name, violate):
    # SQLite names the columns of a unique constraint, not the constraint.
    with pytest.raises(IntegrityError, match=f"{name}|UNIQUE constraint failed"), transaction.atomic():
        violate(encounter)


def test_every_constraint_is_violated_here():
    models = apps.get_app_config("encounters").get_models()
    declared = {constraint.name for model in models for constraint in model._meta.constraints}

    assert {name for name, _ in VIOLATIONS} == declared


def test_the_same_file_may_be_there_twice_if_one_is_done(encounter):
    make_video(encounter, "one", Status.FAILED, fingerprint="the same")
    make_video(encounter, "two", fingerprint="the same")
    make_video(encounter, "three", fingerprint="the same", removed_at=NOW)

    assert Video.objects.count() == 3
