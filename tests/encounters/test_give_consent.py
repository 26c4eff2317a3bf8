"""A patient agrees."""

import re

import pytest

from encounters.invitations import CONSENT_WORDING
from encounters.models import AccessRecord, Encounter, Verb

pytestmark = pytest.mark.django_db


def test_nothing_is_ticked_beforehand(patient_client):
    page = patient_client.get("/send/consent/").content.decode()

    boxes = re.findall(r'<input type="checkbox"[^>]*>', page)
    assert len(boxes) == 3
    assert not [box for box in boxes if "checked" in box]


@pytest.mark.parametrize(
    ("ticked", "record", "research"),
    [
        ({}, False, False),
        ({"record": "on"}, True, False),
        ({"research": "on"}, False, True),
        ({"record": "on", "research": "on"}, True, True),
    ],
)
def test_what_was_ticked_is_kept_with_time_and_wording(patient_client, ticked, record, research):
    answer = patient_client.post("/send/consent/", {"diagnosis": "on", **ticked})

    encounter = Encounter.objects.get()
    assert (answer.status_code, answer.url) == (302, "/send/description/")
    assert encounter.consent_diagnosis_at
    assert bool(encounter.consent_record_at) == record
    assert bool(encounter.consent_research_at) == research
    assert encounter.consent_wording == CONSENT_WORDING
    given = AccessRecord.objects.get(verb=Verb.CONSENT_GIVEN)
    assert given.invitation
    assert given.reason == CONSENT_WORDING


@pytest.mark.parametrize("ticked", [{}, {"record": "on", "research": "on"}])
def test_without_the_first_one_nothing_is_kept(patient_client, ticked):
    answer = patient_client.post("/send/consent/", {"csrfmiddlewaretoken": "x", **ticked})

    encounter = Encounter.objects.get()
    assert answer.status_code == 200
    assert "We need your yes to this one" in answer.content.decode()
    assert (encounter.consent_diagnosis_at, encounter.consent_record_at) == (None, None)
    assert encounter.consent_research_at is None


def test_a_second_answer_changes_nothing(patient_client):
    patient_client.post("/send/consent/", {"diagnosis": "on"})
    first = Encounter.objects.get().consent_diagnosis_at

    answer = patient_client.post("/send/consent/", {"diagnosis": "on", "record": "on", "research": "on"})

    encounter = Encounter.objects.get()
    assert answer.status_code == 302
    assert encounter.consent_diagnosis_at == first
    assert (encounter.consent_record_at, encounter.consent_research_at) == (None, None)
    assert AccessRecord.objects.filter(verb=Verb.CONSENT_GIVEN).count() == 1


@pytest.mark.parametrize("path", ["/send/description/", "/send/videos/"])
def test_before_it_no_later_step_opens(patient_client, path):
    answer = patient_client.get(path)

    assert (answer.status_code, answer.url) == (302, "/send/consent/")


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("a stranger", 403),
        ("Charlie", 403),
        ("a patient whose link was withdrawn", 403),
        ("a patient whose link expired", 403),
    ],
)
def test_nobody_else_agrees_for_the_patient(browser_of, encounter, who, status):
    Encounter.objects.update(consent_diagnosis_at=None, consent_wording="")

    assert browser_of(who).post("/send/consent/", {"diagnosis": "on"}).status_code == status


def test_the_csrf_token_is_needed(strict_client):
    Encounter.objects.update(consent_diagnosis_at=None, consent_wording="")

    assert strict_client.post("/send/consent/", {"diagnosis": "on"}).status_code == 403
    assert not Encounter.objects.get().consented


def test_the_clinician_reads_what_was_agreed(staff_client, patient_client, encounter):
    patient_client.post("/send/consent/", {"diagnosis": "on", "research": "on"})

    page = staff_client.get(f"/encounters/{encounter.reference}/").content.decode()

    assert f"wording {CONSENT_WORDING}" in page
    assert "Kept in the patient record: no" in page
    assert "Research and teaching: no" not in page
