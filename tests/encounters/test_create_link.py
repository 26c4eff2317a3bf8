"""A clinician makes the link that a patient opens."""

import hashlib
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from encounters.models import AccessRecord, Encounter, EncounterState, Invitation, Patient, Verb
from tests.encounters.support import everything_stored

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def address(encounter):
    return f"/encounters/{encounter.reference}/links/"


def link_in(answer):
    return re.search(r"http://testserver(/u/[^/\s\"]+/)", answer.content.decode())[1]


def test_the_link_is_shown_with_a_qr_code(staff_client, alice, address, encounter):
    answer = staff_client.post(address, {"channel": "screen"})

    page = answer.content.decode()
    invitation = Invitation.objects.get()
    assert answer.status_code == 200
    assert "data:image/svg+xml" in page
    assert "shown this once" in page
    assert invitation.token_hash == hashlib.sha256(link_in(answer)[3:-1].encode()).hexdigest()
    assert (invitation.encounter, invitation.created_by) == (encounter, alice)
    assert Encounter.objects.get().state == EncounterState.WAITING
    assert AccessRecord.objects.get(verb=Verb.LINK_CREATED).user == alice


def test_the_link_opens(staff_client, address):
    link = link_in(staff_client.post(address, {"channel": "screen"}))

    assert Client().get(link, follow=True).status_code == 200


def test_the_link_lasts_fourteen_days(staff_client, address):
    staff_client.post(address, {"channel": "screen"})

    left = Invitation.objects.get().expires_at - timezone.now()
    assert timedelta(days=13, hours=23) < left <= timedelta(days=14)


def test_the_link_is_shown_this_once(staff_client, address, encounter):
    link = link_in(staff_client.post(address, {"channel": "screen"}))

    assert link not in staff_client.get(f"/encounters/{encounter.reference}/").content.decode()


@pytest.mark.parametrize("channel", ["screen", "email"])
def test_the_token_is_stored_nowhere(staff_client, address, channel):
    token = link_in(staff_client.post(address, {"channel": channel}))[3:-1]
    client = Client()
    client.get(f"/u/{token}/")
    client.post(f"/u/{token}/", {"day": 27, "month": 3, "year": 1958})
    client.post(f"/u/{token}/", {"day": 1, "month": 1, "year": 2001})

    stored = everything_stored()

    assert hashlib.sha256(token.encode()).hexdigest() in stored
    assert token not in stored


def test_the_token_is_in_no_log(staff_client, address, log_lines):
    token = link_in(staff_client.post(address, {"channel": "email"}))[3:-1]

    assert token not in log_lines()


def test_each_link_is_another(staff_client, address):
    links = {link_in(staff_client.post(address, {"channel": "screen"})) for _ in range(3)}

    assert len(links) == 3
    assert min(len(link) for link in links) >= 32


def test_the_link_goes_out_by_e_mail_and_names_nobody(staff_client, address, mailoutbox):
    answer = staff_client.post(address, {"channel": "email"})

    (mail,) = mailoutbox
    assert mail.to == ["rosalind@quillfeather.example"]
    assert f"http://testserver{link_in(answer)}" in mail.body
    for private in ("Rosalind", "Quillfeather", "1958", "R-17", "gait", "Neurology"):
        assert private not in mail.subject + mail.body
    assert "on its way to rosalind@quillfeather.example" in answer.content.decode()


def test_on_screen_no_mail_is_sent(staff_client, address, mailoutbox):
    staff_client.post(address, {"channel": "screen"})

    assert mailoutbox == []


def test_without_an_address_there_is_no_e_mail(staff_client, address, mailoutbox):
    Patient.objects.update(email="")

    answer = staff_client.post(address, {"channel": "email"})

    assert answer.status_code == 409
    assert "There is no e-mail address for this patient." in answer.content.decode()
    assert mailoutbox == []
    assert not Invitation.objects.exists()


def test_a_closed_encounter_gets_no_link(staff_client, address):
    Encounter.objects.update(closed_at=timezone.now())

    assert staff_client.post(address, {"channel": "screen"}).status_code == 409
    assert not Invitation.objects.exists()


def test_asked_for_by_htmx_the_link_s_section_comes_alone(staff_client, address):
    page = staff_client.post(address, {"channel": "screen"}, headers=HTMX).content.decode()

    assert "/u/" in page
    assert "<html" not in page


def test_the_team_makes_links_and_nobody_else(bobs_client, charlies_client, admin_client, address):
    assert bobs_client.post(address, {"channel": "screen"}).status_code == 200
    assert charlies_client.post(address, {"channel": "screen"}).status_code == 404
    assert admin_client.post(address, {"channel": "screen"}).status_code == 404
    assert Client().post(address, {"channel": "screen"}).status_code == 302
    assert Invitation.objects.count() == 1


def test_it_needs_a_post_and_the_csrf_token(alice, address):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    assert strict.get(address).status_code == 405
    assert strict.post(address, {"channel": "screen"}).status_code == 403
    assert not Invitation.objects.exists()
