"""A patient says what the video shows."""

import pytest
from django.test import Client

from encounters.models import AccessRecord, Encounter, Verb

pytestmark = pytest.mark.django_db


def test_the_words_are_kept(consenting_client):
    answer = consenting_client.post(
        "/send/description/", {"description": "My hand shakes.\nMostly mornings."}
    )

    assert (answer.status_code, answer.url) == (302, "/send/videos/")
    assert Encounter.objects.get().description.splitlines() == ["My hand shakes.", "Mostly mornings."]
    assert AccessRecord.objects.get(verb=Verb.DESCRIBED).invitation


def test_what_was_written_can_be_changed(consenting_client):
    consenting_client.post("/send/description/", {"description": "My hand shakes."})
    assert "My hand shakes." in consenting_client.get("/send/description/").content.decode()

    consenting_client.post("/send/description/", {"description": "Both hands shake."})

    assert Encounter.objects.get().description == "Both hands shake."


def test_nothing_need_be_written(consenting_client):
    assert consenting_client.post("/send/description/", {"description": ""}).status_code == 302


def test_it_shows_what_the_clinic_asked_for_and_no_name(consenting_client):
    page = consenting_client.get("/send/description/").content.decode()

    assert "Please film your gait." in page
    assert "Quillfeather" not in page


def test_a_very_long_text_is_refused(consenting_client):
    answer = consenting_client.post("/send/description/", {"description": "x" * 4001})

    assert answer.status_code == 200
    assert Encounter.objects.get().description == ""


def test_consent_comes_first(patient_client):
    answer = patient_client.post("/send/description/", {"description": "x"})

    assert (answer.status_code, answer.url) == (302, "/send/consent/")
    assert Encounter.objects.get().description == ""


def test_nobody_else_writes_it(charlies_client, encounter):
    for client in (Client(), charlies_client):
        assert client.post("/send/description/", {"description": "x"}).status_code == 403


def test_the_csrf_token_is_needed(strict_client):
    assert strict_client.post("/send/description/", {"description": "x"}).status_code == 403
