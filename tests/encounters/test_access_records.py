"""Access records: written once."""

import pytest
from django.db import transaction

from encounters.callers import Caller
from encounters.models import AccessRecord, AccessRecordsAreFinal, Verb

pytestmark = pytest.mark.django_db


@pytest.fixture
def record(encounter, alice):
    return Caller(user=alice, address="192.0.2.7").record(Verb.ENCOUNTER_VIEWED, encounter=encounter)


def test_it_says_who_did_what_when_and_from_where(record, alice, encounter):
    found = AccessRecord.objects.get(pk=record.pk)

    assert (found.user, found.verb, found.encounter) == (alice, Verb.ENCOUNTER_VIEWED, encounter)
    assert (found.address, bool(found.at)) == ("192.0.2.7", True)


def test_it_cannot_be_changed(record):
    record.reason = "changed"

    with pytest.raises(AccessRecordsAreFinal):
        record.save()


def test_it_cannot_be_deleted(record):
    with pytest.raises(AccessRecordsAreFinal):
        record.delete()


def test_it_shares_the_fate_of_the_act(encounter, alice):
    before = AccessRecord.objects.count()
    with transaction.atomic():
        Caller(user=alice).record(Verb.ENCOUNTER_REVIEWED, encounter=encounter)
        transaction.set_rollback(True)

    assert AccessRecord.objects.count() == before


@pytest.fixture
def visit(staff_client, encounter):
    """`visit(header)`: look at the encounter through proxies that say this."""

    def get(header):
        return staff_client.get(f"/encounters/{encounter.reference}/", headers={"X-Forwarded-For": header})

    return get


@pytest.mark.parametrize(
    ("proxies", "header", "address"),
    [
        (0, "198.51.100.9", "127.0.0.1"),
        (1, "198.51.100.9", "198.51.100.9"),
        (1, "203.0.113.1, 198.51.100.9", "198.51.100.9"),
        (2, "203.0.113.1, 198.51.100.9", "203.0.113.1"),
        (2, "198.51.100.9", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_the_address_is_the_one_that_our_outermost_proxy_saw(visit, settings, proxies, header, address):
    settings.TRUSTED_PROXIES = proxies

    visit(header)

    assert AccessRecord.objects.get(verb=Verb.ENCOUNTER_VIEWED).address == address


def test_a_forged_address_breaks_no_page(visit, settings):
    settings.TRUSTED_PROXIES = 1

    assert visit("198.51.100.9:4711").status_code == 200
    assert visit("x" * 200).status_code == 200
