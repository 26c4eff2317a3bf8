"""People at the door of one upload: whose it is, who works with them, and everybody else."""

from datetime import date, timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from encounters.callers import Caller
from encounters.encounters import open_encounter
from encounters.invitations import invite
from encounters.models import Channel, Invitation, Patient
from tests.conftest import give_birth_date
from tests.encounters.support import announce, begin

OTHER_BIRTH_DATE = date(1990, 8, 14)


@pytest.fixture
def other_encounter(alice, team):
    """Another patient's, in the same team."""
    patient = Patient(
        record_number="R-18", given_name="Barnaby", family_name="Thistlewick", birth_date=OTHER_BIRTH_DATE
    )
    return open_encounter(caller=Caller(user=alice), team=team, patient=patient, what_to_film="x")


@pytest.fixture
def other_patient_client(alice, other_encounter):
    """Another patient's browser, ready to send."""
    address = invite(caller=Caller(user=alice), encounter=other_encounter, channel=Channel.SCREEN)
    client = Client()
    give_birth_date(client, address.removeprefix(settings.BASE_URL), OTHER_BIRTH_DATE)
    client.post("/send/consent/", {"diagnosis": "on"})
    return client


@pytest.fixture
def upload(store, consenting_client):
    """The id of an upload that the patient has announced."""
    return announce(consenting_client).json()["id"]


@pytest.fixture
def sent_upload(store, consenting_client):
    """The id of an upload whose parts are all in the store, not yet completed."""
    return begin(consenting_client)


def _withdraw(encounter):
    Invitation.objects.filter(encounter=encounter).update(revoked_at=timezone.now())


def _expire(encounter):
    now = timezone.now()
    Invitation.objects.filter(encounter=encounter).update(
        created_at=now - timedelta(days=2), expires_at=now - timedelta(seconds=1)
    )


def _close(encounter):
    type(encounter).objects.filter(pk=encounter.pk).update(closed_at=timezone.now())


@pytest.fixture
def browser_of(request, encounter):
    """`browser_of("Charlie")`: the browser of somebody who has no business here, or no more."""
    fixtures = {
        "another patient": "other_patient_client",
        "Charlie": "charlies_client",
        "an admin": "admin_client",
        "a patient whose link was withdrawn": "consenting_client",
        "a patient whose link expired": "consenting_client",
        "a patient whose encounter is closed": "consenting_client",
        "Bob": "bobs_client",
    }
    ends = {
        "a patient whose link was withdrawn": _withdraw,
        "a patient whose link expired": _expire,
        "a patient whose encounter is closed": _close,
    }

    def browser(who):
        client = request.getfixturevalue(fixtures[who]) if who in fixtures else Client()
        ends.get(who, lambda encounter: None)(encounter)
        return client

    return browser


@pytest.fixture
def strict_client(consenting_client):
    """The patient's browser, before a server that checks CSRF tokens."""
    client = Client(enforce_csrf_checks=True)
    client.cookies = consenting_client.cookies
    return client
