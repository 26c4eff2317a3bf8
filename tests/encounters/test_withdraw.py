"""Withdrawing consent: nothing is shown or taken from that moment, and then all is erased."""

import urllib.error
import urllib.request

import pytest
from django.core import mail
from django.test import Client

from encounters import erasure, gate, invitations, notices, uploads
from encounters.arrivals import adopt
from encounters.callers import Caller
from encounters.disposal import Erasure, ErasureProof, Why
from encounters.invitations import EncounterClosed
from encounters.models import AccessRecord, Channel, EncounterState, Invitation, Verb, Video, VideoState
from tests.conftest import give_birth_date, tasks_waiting
from tests.encounters.support import (
    CONTENT,
    announce,
    announcement,
    begin,
    checksum,
    complete,
    make_renditions,
    make_video,
    post,
    put,
    send_parts,
    sign,
)
from transcoding.models import Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ready(encounter, store, short_clip):
    """A video whose original, MP4 and poster are in the bucket."""
    video = make_video(encounter, "IMG_0042.MOV", Status.SUCCEEDED)
    mp4, poster = make_renditions(video)
    for key in (video.source_key, mp4, poster):
        store.put(key, short_clip.read_bytes(), "video/mp4")
    return video


@pytest.fixture
def patient_caller(link):
    return Caller(invitation=Invitation.objects.get())


def status_of(address):
    """What a player is told that asks for the next range."""
    request = urllib.request.Request(address, headers={"Range": "bytes=100-199"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def withdraw(encounter, caller):
    erasure.withdraw(caller=caller, encounter=encounter)


def test_it_is_put_down_once_with_who_did_it(encounter, patient_caller):
    withdraw(encounter, patient_caller)
    first = encounter.withdrawn_at
    withdraw(encounter, patient_caller)

    assert first
    assert encounter.withdrawn_at == first
    assert encounter.state == EncounterState.WITHDRAWN
    record = AccessRecord.objects.get(verb=Verb.CONSENT_WITHDRAWN)
    assert (record.invitation, record.user) == (patient_caller.invitation, None)
    assert Erasure.objects.get().why == Why.WITHDRAWN


def test_the_next_range_of_a_video_that_is_playing_is_refused(staff_client, encounter, ready, patient_caller):
    playing = staff_client.get(f"/videos/{ready.pk}/play").url
    poster = staff_client.get(f"/videos/{ready.pk}/poster").url
    assert status_of(playing) == 206

    withdraw(encounter, patient_caller)

    assert [status_of(playing), status_of(poster)] == [404, 404]


def test_nothing_is_shown_any_more(staff_client, encounter, ready, patient_caller):
    waiting = make_video(encounter, "IMG_0043.MOV", Status.QUEUED)

    withdraw(encounter, patient_caller)

    for path in ("play", "poster", "live.mp4"):
        assert staff_client.get(f"/videos/{ready.pk}/{path}").status_code == 404
        assert staff_client.get(f"/videos/{waiting.pk}/{path}").status_code == 404
    assert {video.state for video in Video.objects.all()} == {VideoState.DELETED}


def test_the_link_lets_nobody_in(link, consenting_client, encounter, patient_caller):
    withdraw(encounter, patient_caller)

    assert Client().get(link).status_code == 403
    give_birth_date(Client(), link)
    for path in ("/send/videos/", "/send/receipt/", "/send/description/"):
        assert consenting_client.get(path).status_code == 403


def test_nothing_more_is_taken_from_the_patient(consenting_client, encounter, store, patient_caller):
    upload = begin(consenting_client)

    withdraw(encounter, patient_caller)

    assert announce(consenting_client, b"another").status_code == 403
    assert sign(consenting_client, upload, {1: checksum(CONTENT)}).status_code == 403
    assert complete(consenting_client, upload).status_code == 403
    assert post(consenting_client, "/send/description/", {}).status_code == 403


def test_nothing_more_is_taken_from_staff(staff_client, encounter, store, alice, patient_caller):
    named = {"encounter": encounter.reference}
    upload = post(staff_client, "/uploads/", announcement() | named).json()["id"]

    withdraw(encounter, patient_caller)

    assert post(staff_client, "/uploads/", announcement(b"x") | named).status_code == 404
    assert sign(staff_client, upload, {1: checksum(CONTENT)}).status_code == 410
    assert complete(staff_client, upload).status_code == 410
    with pytest.raises(EncounterClosed):
        invitations.invite(caller=Caller(user=alice), encounter=encounter, channel=Channel.SCREEN)


def test_an_upload_that_is_announced_in_that_very_moment_is_refused(encounter, store, alice):
    """The view had looked before."""
    offer = uploads.Offer(filename="a.mov", size=9, content_type="", fingerprint="0" * 64)
    caller = Caller(user=alice)

    withdraw(encounter, caller)

    with pytest.raises(gate.ConsentWithdrawn):
        uploads.start(caller=caller, encounter=encounter, offer=offer)
    assert adopt(source_key=f"{encounter.reference}/found.mov", size=1, etag="x") is None
    assert not Video.objects.exists()


def test_permissions_that_a_browser_has_already_lead_nowhere(
    consenting_client, encounter, store, patient_caller
):
    upload = announce(consenting_client).json()["id"]
    (permission,) = sign(consenting_client, upload, {1: checksum(CONTENT)}).json()["urls"]

    withdraw(encounter, patient_caller)
    assert erasure.erase(Erasure.objects.get().pk)

    assert put(permission, CONTENT) == 404
    assert not list(store.open_uploads(encounter.reference))


def test_conversions_are_stopped(encounter, patient_caller):
    waiting = make_video(encounter, "IMG_0043.MOV", Status.QUEUED)
    running = make_video(encounter, "IMG_0044.MOV", Status.RUNNING)

    withdraw(encounter, patient_caller)

    for video in (waiting, running):
        video.job.refresh_from_db()
        assert video.job.status == Status.CANCELLED
        assert video.job.barred_at
        assert not video.job.is_retryable


def test_it_is_erased_by_a_task_and_proved(encounter, ready, store, patient_caller, consenting_client):
    send_parts(consenting_client, announce(consenting_client).json()["id"])

    withdraw(encounter, patient_caller)

    ((pk,),) = tasks_waiting("encounters.erasure.erase")
    assert erasure.erase(pk)
    assert list(store.keys()) == []
    assert list(store.open_uploads(encounter.reference)) == []
    encounter.refresh_from_db()
    assert encounter.erased_at
    proof = ErasureProof.objects.get()
    assert (proof.encounter, proof.video, proof.why) == (encounter, None, Why.WITHDRAWN)


def test_the_clinician_is_told_without_a_name(encounter, patient_caller, alice):
    withdraw(encounter, patient_caller)
    ((reference,),) = tasks_waiting("encounters.notices.tell_of_withdrawal")

    notices.tell_of_withdrawal(reference)

    (message,) = mail.outbox
    assert message.to == [alice.email]
    assert "Quillfeather" not in message.body + message.subject
    assert encounter.reference in message.body


def test_the_store_may_be_away(encounter, ready, patient_caller, settings, unreachable_store):
    withdraw(encounter, patient_caller)

    assert encounter.withdrawn_at
    assert Erasure.objects.get().trouble == "EndpointConnectionError"
    assert Erasure.objects.get().closed_at is None
