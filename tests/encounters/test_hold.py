"""Legal hold: nothing is erased while it lasts, whoever asks for it."""

import urllib.error
import urllib.request
from datetime import timedelta

import pytest
from django.utils import timezone

from encounters import erasure, holds
from encounters.callers import Caller
from encounters.disposal import Erasure, LegalHold
from encounters.models import AccessRecord, Encounter, Verb, Video, VideoState
from tests.conftest import tasks_waiting
from tests.encounters.support import make_stored_video
from transcoding.models import Rendition

REASON = "Complaint of 3 May."
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def video(encounter, store):
    return make_stored_video(encounter, store)


@pytest.fixture
def held(encounter, alice):
    holds.hold(caller=Caller(user=alice), encounter=encounter, reason=REASON)


def status_of(address):
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def die(*args):
    raise KeyboardInterrupt


def text_of(client, encounter):
    return " ".join(client.get(f"/encounters/{encounter.reference}/").content.decode().split())


def test_it_is_placed_shown_and_released(staff_client, bobs_client, alice, encounter):
    address = f"/encounters/{encounter.reference}"
    staff_client.post(f"{address}/hold/", {"reason": REASON})

    for client in (staff_client, bobs_client):
        page = text_of(client, encounter)
        assert "Legal hold since" in page
        assert f"placed by Alice: “{REASON}”" in page
    bobs_client.post(f"{address}/release/")

    assert "Legal hold since" not in text_of(staff_client, encounter)
    found = LegalHold.objects.get()
    assert (found.placed_by, found.released_by.name) == (alice, "Bob")
    assert AccessRecord.objects.filter(verb__in=[Verb.HOLD_PLACED, Verb.HOLD_RELEASED]).count() == 2


def test_it_needs_a_reason(staff_client, encounter):
    answer = staff_client.post(f"/encounters/{encounter.reference}/hold/", {"reason": " "}, follow=True)

    assert "Please say in a sentence why" in answer.content.decode()
    assert not LegalHold.objects.exists()


def test_twice_is_once(encounter, alice, held):
    holds.hold(caller=Caller(user=alice), encounter=encounter, reason="Again.")
    for _ in range(2):
        holds.release(caller=Caller(user=alice), encounter=encounter)

    assert LegalHold.objects.get().reason == REASON
    assert AccessRecord.objects.filter(verb=Verb.HOLD_RELEASED).count() == 1


def test_nothing_can_be_deleted(staff_client, video, held):
    assert "Delete this video" not in text_of(staff_client, video.encounter)
    assert staff_client.post(f"/videos/{video.pk}/delete/").status_code == 409
    assert Video.objects.get().state == VideoState.READY


def test_what_was_deleted_before_is_kept_and_can_be_undone(staff_client, alice, video, store):
    staff_client.post(f"/videos/{video.pk}/delete/")
    holds.hold(caller=Caller(user=alice), encounter=video.encounter, reason=REASON)
    assert "It is kept while the legal hold lasts." in text_of(staff_client, video.encounter)
    Erasure.objects.update(not_before=timezone.now(), next_try_at=timezone.now())

    assert not erasure.erase(Erasure.objects.get().pk)
    assert erasure.run() == {"erased": 0, "left": 0}
    assert len(list(store.keys())) == 3


def test_time_does_not_run_out(encounter, video, held, store):
    Encounter.objects.update(retain_until=timezone.localdate() - timedelta(days=1))
    erasure.expire()

    assert erasure.run() == {"erased": 0, "left": 0}
    assert Video.objects.get().state == VideoState.READY


def test_withdrawn_consent_closes_all_the_same_and_keeps_it(
    staff_client, encounter, video, held, store, alice
):
    playing = staff_client.get(f"/videos/{video.pk}/play").url
    assert status_of(playing) == 200

    erasure.withdraw(caller=Caller(user=alice), encounter=encounter)

    assert status_of(playing) == 404
    assert staff_client.get(f"/videos/{video.pk}/play").status_code == 404
    assert erasure.run() == {"erased": 0, "left": 0}
    made = set(Rendition.objects.values_list("object_key", flat=True))
    assert set(store.keys()) == made | {video.source_key}
    assert all(store.read(key) == b"film" for key in made)
    page = text_of(staff_client, encounter)
    assert "nothing is erased while the legal hold lasts" in page


def test_closing_is_finished_after_a_crash(staff_client, encounter, video, held, store, alice, monkeypatch):
    playing = staff_client.get(f"/videos/{video.pk}/play").url
    with monkeypatch.context() as patch:
        patch.setattr("encounters.erasure.close", lambda pk: None)
        erasure.withdraw(caller=Caller(user=alice), encounter=encounter)
    with monkeypatch.context() as patch:
        # The copy is made and known; the old name is still there.
        patch.setattr(type(store), "delete", die)
        with pytest.raises(KeyboardInterrupt):
            erasure.run()
    assert status_of(playing) == 200

    erasure.run()

    assert status_of(playing) == 404
    assert len(list(store.keys())) == 3
    assert Erasure.objects.get().closed_at


def test_released_it_is_erased(staff_client, encounter, video, held, store, alice):
    erasure.withdraw(caller=Caller(user=alice), encounter=encounter)
    staff_client.post(f"/encounters/{encounter.reference}/release/")

    (asked, again) = tasks_waiting("encounters.erasure.erase")
    assert asked == again
    assert erasure.erase(*again)
    assert list(store.keys()) == []
    assert LegalHold.objects.get().reason == ""
    page = staff_client.get(f"/encounters/{encounter.reference}/")
    assert page.status_code == 410
    assert "This encounter was erased" in page.content.decode()


def test_the_admin_sees_what_is_held(admin_client, encounter, video, held, alice):
    erasure.withdraw(caller=Caller(user=alice), encounter=encounter)

    page = admin_client.get("/erasures/").content.decode()
    assert "Forbidden by a legal hold" in page
    assert encounter.reference in page
    assert "Quillfeather" not in page


def test_who_places_it_too_late_is_told(staff_client, encounter, video, alice, unreachable_store):
    erasure.withdraw(caller=Caller(user=alice), encounter=encounter)
    erasure.run()

    answer = staff_client.post(f"/encounters/{encounter.reference}/hold/", {"reason": REASON}, follow=True)

    assert "An erasure had begun before." in answer.content.decode()
    assert "it had begun before" not in answer.content.decode()


@pytest.mark.parametrize("act", ["hold", "release", "keep", "withdraw"])
def test_nobody_else_may(charlies_client, admin_client, encounter, act):
    for client in (charlies_client, admin_client):
        answer = client.post(f"/encounters/{encounter.reference}/{act}/", {"reason": REASON})
        assert answer.status_code == 404
