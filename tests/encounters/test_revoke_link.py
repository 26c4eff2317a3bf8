"""A clinician withdraws a link."""

import pytest
from django.test import Client

from encounters.models import AccessRecord, Invitation, Verb

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(encounter, link):
    return f"/encounters/{encounter.reference}/links/{Invitation.objects.get().pk}/revoke/"


def test_the_link_no_longer_opens(bobs_client, bob, address, link):
    answer = bobs_client.post(address, follow=True)

    assert "The link no longer works." in answer.content.decode()
    assert "withdrawn" in answer.content.decode()
    assert Client().get(link).status_code == 403
    assert AccessRecord.objects.get(verb=Verb.LINK_REVOKED).user == bob


def test_who_is_inside_already_is_out_at_once(staff_client, consenting_client, address):
    staff_client.post(address)

    assert consenting_client.get("/send/videos/").status_code == 403


def test_twice_is_once(staff_client, address):
    staff_client.post(address)
    first = Invitation.objects.get().revoked_at
    staff_client.post(address)

    assert Invitation.objects.get().revoked_at == first
    assert AccessRecord.objects.filter(verb=Verb.LINK_REVOKED).count() == 1


def test_nobody_else_may(charlies_client, admin_client, address):
    assert charlies_client.post(address).status_code == 404
    assert admin_client.post(address).status_code == 404
    assert Client().post(address).status_code == 302
    assert Invitation.objects.get().revoked_at is None


def test_a_link_is_withdrawn_by_its_own_encounter_alone(staff_client, link, other_encounter):
    invitation = Invitation.objects.get()

    answer = staff_client.post(f"/encounters/{other_encounter.reference}/links/{invitation.pk}/revoke/")

    assert answer.status_code == 404
    assert Invitation.objects.get().revoked_at is None


def test_it_needs_a_post_and_the_csrf_token(alice, address):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    assert strict.get(address).status_code == 405
    assert strict.post(address).status_code == 403
    assert Invitation.objects.get().revoked_at is None
