"""A clinician notes that an encounter is reviewed."""

import pytest
from django.test import Client

from encounters.models import AccessRecord, Encounter, Verb
from tests.encounters.support import make_video
from transcoding.models import Status

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(encounter):
    make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)
    return f"/encounters/{encounter.reference}/review/"


def test_it_is_reviewed(bobs_client, bob, address, encounter):
    answer = bobs_client.post(address)

    assert (answer.status_code, answer.url) == (302, f"/encounters/{encounter.reference}/")
    assert Encounter.objects.get().state == "reviewed"
    assert AccessRecord.objects.get(verb=Verb.ENCOUNTER_REVIEWED).user == bob


def test_twice_is_once(staff_client, address):
    staff_client.post(address)
    first = Encounter.objects.get().reviewed_at
    staff_client.post(address)

    assert Encounter.objects.get().reviewed_at == first
    assert AccessRecord.objects.filter(verb=Verb.ENCOUNTER_REVIEWED).count() == 1


def test_it_can_be_undone(staff_client, address):
    staff_client.post(address)
    staff_client.post(address, {"undo": "1"})

    assert Encounter.objects.get().state == "arrived"
    assert AccessRecord.objects.filter(verb=Verb.ENCOUNTER_REVIEWED).last().reason == "undone"


def test_nobody_else_may(charlies_client, admin_client, address):
    assert charlies_client.post(address).status_code == 404
    assert admin_client.post(address).status_code == 404
    assert Client().post(address).status_code == 302
    assert Encounter.objects.get().reviewed_at is None


def test_it_needs_a_post_and_the_csrf_token(alice, address):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice)

    assert strict.get(address).status_code == 405
    assert strict.post(address).status_code == 403
    assert Encounter.objects.get().reviewed_at is None
