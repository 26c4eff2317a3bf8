"""While an encounter is being erased, nothing is added to it; and nobody waits for whom waits for them."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from encounters import (
    chain,
    consents,
    erasure,
    gate,
    holds,
    invitations,
    recovery,
    retention,
    uploads,
    wordings,
)
from encounters.callers import PORTAL, Caller, LinkClosed
from encounters.disposal import Erasure
from encounters.models import Channel, Encounter, LegalHold, Purpose, Verb, Video
from encounters.offers import Offer
from tests.encounters.support import make_renditions
from transcoding import erasing, jobs
from transcoding.engine.store import StoreError
from transcoding.models import Runner

pytestmark = pytest.mark.django_db(transaction=True)
OFFER = Offer(filename="a.mov", size=9, content_type="video/quicktime", fingerprint="a" * 64)


def announced(encounter):
    with transaction.atomic():
        return uploads._row(encounter, OFFER, f"{encounter.reference}/{'b' * 40}.mov")


@pytest.fixture
def expired(encounter, store):
    """The erasure of an encounter that was kept long enough."""
    Encounter.objects.update(retain_until=timezone.localdate() - timedelta(days=1))
    assert erasure.expire() == 1
    return Erasure.objects.get()


@pytest.fixture
def begun(expired, monkeypatch):
    """The same, under way, but the store does not answer."""

    def away(place):
        raise StoreError("delete_object", "ServiceUnavailable")

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "empty", away)
        assert not erasure.erase(expired.pk)
    expired.refresh_from_db()
    assert expired.begun_at
    return expired


def adding(encounter, caller):
    """What a request would do that had found its encounter before."""
    return [
        lambda: consents.give(
            caller=caller,
            encounter=encounter,
            wording=wordings.current(encounter.team, "en-gb"),
            purposes=[Purpose.DIAGNOSIS],
        ),
        lambda: invitations.describe(caller=caller, encounter=encounter, description="My knees."),
        lambda: announced(encounter),
    ]


def test_nothing_is_added_to_what_is_being_erased(encounter, link, begun):
    caller = Caller(invitation=encounter.invitations.get())

    assert not encounter.invitations.usable().exists()
    for add in adding(encounter, caller):
        with pytest.raises(LinkClosed):
            add()


def test_nothing_is_added_to_what_was_erased(encounter, link, expired):
    caller = Caller(invitation=encounter.invitations.select_related("encounter").get())
    assert erasure.erase(expired.pk)

    for add in adding(encounter, caller):
        with pytest.raises(LinkClosed):
            add()
    encounter.refresh_from_db()
    assert (encounter.description, encounter.consents.count()) == ("", 0)


def test_what_is_being_erased_is_not_said_to_be_kept(encounter, begun, alice):
    with pytest.raises(gate.TooLate):
        retention.keep(caller=Caller(user=alice), encounter=encounter, until=timezone.localdate())


def test_what_was_erased_is_not_said_to_be_held(encounter, expired, alice):
    assert erasure.erase(expired.pk)

    with pytest.raises(gate.TooLate):
        holds.hold(caller=Caller(user=alice), encounter=encounter, reason="A complaint.")
    assert not LegalHold.objects.exists()


def test_while_a_link_works_its_encounter_is_kept(encounter, alice):
    encounter.team.retention_days = 7
    encounter.team.save()
    Encounter.objects.update(opened_at=timezone.now() - timedelta(days=9))
    assert retention.over().exists()

    invitations.invite(caller=Caller(user=alice), encounter=encounter, channel=Channel.SCREEN)

    ends = encounter.invitations.get().expires_at
    assert not retention.over().exists()
    assert retention.keep_until(encounter) == timezone.localdate(ends)


def test_a_hold_keeps_what_was_sent_of_an_upload_too(encounter, store, alice, monkeypatch):
    monkeypatch.setattr(recovery, "ORPHAN_AFTER", timedelta(seconds=-5))
    uploads._begin_at_store(announced(encounter))
    holds.hold(caller=Caller(user=alice), encounter=encounter, reason="A complaint.")
    Video.objects.update(created_at=timezone.now() - timedelta(days=99))

    assert recovery.tidy() == {"completed": 0, "abandoned": 0, "orphans": 0}
    Video.objects.update(removed_at=timezone.now())
    assert recovery.tidy()["orphans"] == 0

    assert len(list(store.open_uploads(encounter.reference))) == 1


def test_under_a_hold_a_film_that_is_stored_late_is_sealed_too(encounter, store, alice):
    video = uploads._receive(PORTAL, announced(encounter), None)
    attempt = jobs.claim(video.job_id, host="h", runner=Runner.LOCAL)
    assert attempt
    mp4, _ = make_renditions(video)
    store.put(mp4, b"film", "video/mp4")
    holds.hold(caller=Caller(user=alice), encounter=encounter, reason="A complaint.")

    erasure.withdraw(caller=Caller(user=alice), encounter=encounter)
    assert (store.size(mp4), Erasure.objects.get().closed_at) == (None, None)
    store.put(mp4, b"film", "video/mp4")  # the worker had begun to, and has not yet heard
    erasing.let_go(attempt)
    erasure.run()

    assert store.size(mp4) is None
    assert Erasure.objects.get().closed_at
    assert [key for key in store.keys(encounter.reference) if ".sealed-" in key]


# Locks


def side_by_side(monkeypatch, first, second):
    """What each raises, when the second one comes while the first one is about to join the chain."""
    real, is_there, errors = chain.take_turns, threading.Event(), []

    def slow(using):
        if threading.current_thread().name == "first" and not is_there.is_set():
            is_there.set()
            time.sleep(1)  # in which the second one takes what locks it gets
        real(using)

    def run(act):
        if threading.current_thread().name == "second":
            assert is_there.wait(30)
        try:
            act()
        except Exception as error:  # noqa: BLE001 - it is what is asked for
            errors.append(error)
        finally:
            connection.close()

    monkeypatch.setattr(chain, "take_turns", slow)
    threads = [
        threading.Thread(target=run, args=[act], name=name, daemon=True)
        for name, act in (("first", first), ("second", second))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def test_an_erasure_ends_while_somebody_looks(encounter, expired, alice, monkeypatch):
    looked = Caller(user=alice)

    errors = side_by_side(
        monkeypatch,
        lambda: erasure.erase(expired.pk),
        lambda: looked.record(Verb.ENCOUNTER_VIEWED, encounter=encounter),
    )

    assert errors == []
    assert Erasure.objects.get().done_at


def test_an_upload_completes_while_somebody_looks(encounter, alice, monkeypatch):
    video, looked = announced(encounter), Caller(user=alice)

    errors = side_by_side(
        monkeypatch,
        lambda: uploads._receive(PORTAL, video, None),
        lambda: looked.record(Verb.ENCOUNTER_VIEWED, encounter=encounter, video=video),
    )

    assert errors == []
    video.refresh_from_db()
    assert video.received_at
