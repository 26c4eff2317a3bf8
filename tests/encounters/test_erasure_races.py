"""Erasing while something else happens: at the same moment, in threads and processes of their own."""

import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as django_settings
from django.db import connection
from django.test import AsyncClient, Client
from django.utils import timezone

from encounters import erasure, gate, holds, invitations, uploads
from encounters.callers import Caller
from encounters.disposal import Erasure, ErasureProof
from encounters.models import AccessRecord, Encounter, Invitation, Verb, Video, VideoState
from tests.conftest import at_once
from tests.encounters.support import (
    CONTENT,
    VIDEO_HEAD,
    announce,
    begin,
    checksum,
    complete,
    make_stored_video,
    make_video,
    sign,
)
from tests.transcoding.engine.support import eventually
from tests.transcoding.test_kill import database_url
from transcoding import erasing, jobs, live, worker
from transcoding.models import AttemptOutcome, Status, TranscodeAttempt, TranscodeJob

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def video(encounter, store):
    return make_stored_video(encounter, store)


@pytest.fixture
def work(settings, tmp_path):
    settings.WORK_DIR = tmp_path / "work"
    settings.WORK_DIR.mkdir()
    settings.HEARTBEAT_SECONDS = 0.05
    return settings.WORK_DIR


@pytest.fixture
def waiting(encounter, store, short_clip, work):
    """A video that waits to be converted."""
    found = make_video(encounter, "IMG_0043.MOV", Status.QUEUED)
    store.put(found.source_key, short_clip.read_bytes(), "video/quicktime")
    return found


def withdraw(encounter, alice):
    erasure.withdraw(caller=Caller(user=alice), encounter=encounter)


def asked(video, alice):
    erasure.delete(caller=Caller(user=alice), video=video)
    Erasure.objects.update(not_before=timezone.now(), next_try_at=timezone.now())
    return Erasure.objects.get().pk


def is_over():
    Erasure.objects.update(next_try_at=timezone.now())
    erasure.run()
    return not Erasure.objects.open().exists()


# Two erasures


def test_two_erasures_at_once_make_one_proof(video, alice, store):
    pk = asked(video, alice)

    done = at_once(*[lambda: erasure.erase(pk)] * 3)

    assert sorted(map(str, done)) == ["False", "False", "True"]
    assert list(store.keys()) == []
    assert ErasureProof.objects.count() == 1
    assert AccessRecord.objects.filter(verb=Verb.ERASED).count() == 1


def test_a_video_and_its_encounter_are_erased_at_once(encounter, video, alice, store):
    pk = asked(video, alice)
    withdraw(encounter, alice)
    whole = Erasure.objects.get(video=None).pk

    answers = at_once(lambda: erasure.erase(pk), lambda: erasure.erase(whole))

    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert is_over()
    assert list(store.keys()) == []
    encounter.refresh_from_db()
    assert encounter.erased_at


def test_two_people_withdraw_at_once(encounter, video, alice, bob):
    at_once(lambda: withdraw(encounter, alice), lambda: withdraw(encounter, bob))

    assert AccessRecord.objects.filter(verb=Verb.CONSENT_WITHDRAWN).count() == 1
    assert Erasure.objects.count() == 1


def test_one_brings_back_what_is_erased_at_that_moment(video, alice, store):
    for _ in range(5):
        erasure.delete(caller=Caller(user=alice), video=video)
        # Its day ends between the look of the one and the look of the other.
        soon = timezone.now() + timedelta(milliseconds=20)
        Erasure.objects.update(not_before=soon, next_try_at=timezone.now())
        pk = Erasure.objects.get().pk

        def restore():
            erasure.undo(caller=Caller(user=alice), video=video)

        answers = at_once(restore, *[lambda pk=pk: erasure.erase(pk)] * 2)

        state = Video.objects.get().state
        if state == VideoState.READY:
            assert len(list(store.keys())) == 3
            assert True not in answers
        else:
            assert isinstance(answers[0], gate.TooLate)
            assert is_over()
            assert list(store.keys()) == []
            break


# A conversion under way


@pytest.mark.parametrize("when", ["fetched", "published", "filed"])
def test_a_conversion_brings_nothing_back(encounter, waiting, alice, store, monkeypatch, when):
    """Consent is withdrawn, and all is erased, at the worst moments of a worker; it is not told before."""
    withdrawn = []

    def act():
        withdraw(encounter, alice)
        return erasure.erase(Erasure.objects.get().pk)

    def withdraw_and_erase():
        """In a thread that closes its connection: the engine moves bytes in threads of its own."""
        if not withdrawn:
            withdrawn.extend(at_once(act))

    def first(step):
        def acting(*args, **kwargs):
            withdraw_and_erase()
            return step(*args, **kwargs)

        return acting

    def after(step):
        def acting(*args, **kwargs):
            answer = step(*args, **kwargs)
            withdraw_and_erase()
            return answer

        return acting

    place = {
        "fetched": (type(store), "download", after),
        "published": (type(store), "upload", after),
        "filed": (worker.jobs, "record_result", first),
    }[when]
    owner, name, wrap = place
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, wrap(getattr(owner, name)))
        said = worker.convert(str(waiting.job_id))

    assert withdrawn == [False]  # not erased yet: a worker is at it
    assert said in {"lease lost", "failed"}
    assert TranscodeAttempt.objects.get().outcome == AttemptOutcome.CANCELLED
    assert is_over()
    assert list(store.keys()) == []
    waiting.job.refresh_from_db()
    assert (waiting.job.status, waiting.job.renditions.count()) == (Status.CANCELLED, 0)


def test_an_erasure_waits_for_a_worker_that_may_still_store_something(encounter, waiting, alice, store):
    attempt = jobs.claim(waiting.job_id, host="x")
    withdraw(encounter, alice)
    pk = Erasure.objects.get().pk

    assert not erasure.erase(pk)
    found = Erasure.objects.get()
    assert found.trouble == erasure.WORKER_AT_WORK
    assert "being stopped" in found.explanation
    assert list(store.keys()) == []
    store.put(waiting.source_key.replace(".mov", ".web.mp4"), b"late", "video/mp4")
    erasing.let_go(attempt)

    assert is_over()
    assert list(store.keys()) == []


def test_a_worker_that_never_says_so_is_waited_for_no_longer_than_its_lease(encounter, waiting, alice, store):
    jobs.claim(waiting.job_id, host="x")
    withdraw(encounter, alice)
    assert not is_over()
    past = timezone.now() - timedelta(seconds=django_settings.LEASE_SECONDS + 1)
    TranscodeJob.objects.update(barred_at=past)

    assert is_over()
    assert TranscodeAttempt.objects.get().outcome == AttemptOutcome.CANCELLED


def test_a_retry_at_that_moment_converts_nothing(encounter, alice, store):
    failed = make_video(encounter, "IMG_0044.MOV", Status.FAILED)
    job = failed.job

    answers = at_once(lambda: jobs.retry(job), lambda: withdraw(encounter, alice))

    assert answers[0] is None or isinstance(answers[0], jobs.NotRetryable)
    job.refresh_from_db()
    assert job.status in {Status.FAILED, Status.CANCELLED}
    with pytest.raises(jobs.NotRetryable):
        jobs.retry(job)
    assert jobs.claim(job.pk, host="x") is None


# An upload under way


def test_a_link_is_withdrawn_while_its_patient_sends(consenting_client, encounter, store, alice):
    upload = begin(consenting_client)
    invitation = Invitation.objects.get()

    def revoke():
        invitations.revoke(caller=Caller(user=alice), invitation=invitation)

    def finish():
        client = Client()
        client.cookies = consenting_client.cookies
        return complete(client, upload).status_code

    _, status = at_once(revoke, finish)

    assert status in {200, 403}
    video = Video.objects.get()
    assert video.state == (VideoState.WAITING if status == 200 else VideoState.UPLOADING)
    for refused in (
        sign(consenting_client, upload, {1: checksum(CONTENT)}),
        announce(consenting_client, VIDEO_HEAD + b"another"),
        complete(consenting_client, upload),
    ):
        assert refused.status_code == 403
    assert Video.objects.count() == 1


@pytest.mark.parametrize("again", range(3))
def test_consent_is_withdrawn_while_the_upload_is_completed(
    consenting_client, encounter, store, alice, again
):
    upload = begin(consenting_client)
    video = Video.objects.select_related("encounter").get(pk=upload)
    caller = Caller(invitation=Invitation.objects.get())

    def withdraw_and_erase():
        withdraw(encounter, alice)
        return erasure.erase(Erasure.objects.get().pk)

    finished, _ = at_once(lambda: uploads.complete(caller=caller, video=video), withdraw_and_erase)

    assert isinstance(finished, Video | uploads.UploadGone | uploads.PartsMissing | uploads.StoreUnavailable)
    assert is_over()
    erasure.look_again()  # the store may have joined the parts in the very last moment
    assert list(store.keys(encounter.reference)) == []
    assert list(store.open_uploads(encounter.reference)) == []
    assert Video.objects.get().state == VideoState.ERASED
    assert not TranscodeJob.objects.filter(status__in=[Status.QUEUED, Status.RUNNING]).exists()


def test_consent_is_withdrawn_while_a_file_is_announced(encounter, store, alice):
    offer = uploads.Offer(filename="a.mov", size=9, content_type="", fingerprint="0" * 64)
    caller = Caller(user=alice)

    answers = at_once(
        lambda: uploads.start(caller=caller, encounter=encounter, offer=offer),
        lambda: withdraw(encounter, alice),
    )

    assert isinstance(answers[0], tuple | gate.ConsentWithdrawn)
    assert answers[1] is None
    assert not Video.objects.kept().exists()
    assert is_over()
    erasure.look_again()
    assert list(store.open_uploads(encounter.reference)) == []


# A viewing under way


def test_the_next_range_is_refused_while_others_are_read(staff_client, encounter, video, alice, store):
    address = staff_client.get(f"/videos/{video.pk}/play").url
    stop = threading.Event()
    told = []

    def play():
        while not stop.is_set():
            request = urllib.request.Request(address, headers={"Range": "bytes=0-1"})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    told.append(answer.status)
            except urllib.error.HTTPError as error:
                with error:
                    told.append(error.code)

    player = threading.Thread(target=play)
    player.start()
    assert eventually(lambda: 206 in told)
    withdraw(encounter, alice)
    since = len(told)
    assert eventually(lambda: len(told) > since + 3)
    stop.set()
    player.join()

    assert set(told[since + 1 :]) == {404}  # one may have been on its way


def test_a_stream_of_what_is_not_converted_yet_is_cut(encounter, waiting, alice, monkeypatch):
    monkeypatch.setattr(live, "ASK_SECONDS", 0)
    live._slots.cache_clear()
    live._folder.cache_clear()

    async def watch():
        client = AsyncClient()
        await client.aforce_login(alice)
        answer = await client.get(f"/videos/{waiting.pk}/live.mp4")
        pieces = answer.streaming_content.__aiter__()
        await pieces.__anext__()
        await withdraw_aside()
        await pieces.__anext__()

    async def withdraw_aside():
        await sync_to_async(withdraw)(encounter, alice)

    with pytest.raises(live.NotWatchable):
        async_to_sync(watch)()
    assert eventually(lambda: live._slots()._value == django_settings.LIVE_STREAMS)


# A legal hold at the same moment


@pytest.mark.parametrize("again", range(5))
def test_a_hold_is_placed_while_the_erasure_begins(encounter, video, alice, store, again):
    pk = asked(video, alice)

    def hold():
        return holds.hold(caller=Caller(user=alice), encounter=encounter, reason="Complaint.")

    begun, erased = at_once(hold, lambda: erasure.erase(pk))

    left = len(list(store.keys()))
    if begun or erased:
        assert left == 0
    else:  # the hold was first: nothing was touched
        assert left == 3
        assert erasure.run() == {"erased": 0, "left": 0}
        assert Erasure.objects.get().begun_at is None


def test_a_hold_stops_an_erasure_that_has_begun_and_failed(encounter, video, alice, store, monkeypatch):
    pk = asked(video, alice)
    with monkeypatch.context() as patch:
        patch.setattr(erasing, "empty", fail)
        assert not erasure.erase(pk)

    assert holds.hold(caller=Caller(user=alice), encounter=encounter, reason="Complaint.") == 1
    assert not erasure.erase(pk)
    assert len(list(store.keys())) == 3


def fail(*args):
    raise erasing.StillThere


# kill -9


KILL = """
import os, signal, sys
import django
django.setup()
from importlib import import_module
from encounters import erasure

module, _, name = sys.argv[2].rpartition(".")
owner = import_module(module) if not module.endswith("PortalStore") else None
if owner is None:
    from transcoding.store import PortalStore as owner
act, calls = getattr(owner, name), []

def die_then(*args, **kwargs):
    calls.append(1)
    if len(calls) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return act(*args, **kwargs)

setattr(owner, name, die_then)
erasure.erase(int(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "call"),
    [
        ("encounters.erasure._note", 1),
        ("transcoding.erasing.empty", 1),
        ("transcoding.store.PortalStore.delete", 2),
        ("encounters.erasure._finish", 1),
        ("encounters.erasure._record", 1),
    ],
)
def test_the_next_run_ends_what_a_killed_process_began(video, alice, store, step, call):
    pk = asked(video, alice)
    environment = {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DEMO": "true",
        "VAR_DIR": str(django_settings.VAR_DIR),
        "S3_PORT": str(django_settings.S3_PORT),
        "DATABASE_URL": database_url(),
    }
    process = subprocess.run(
        [sys.executable, "-c", KILL, str(pk), step, str(call)],
        env={**os.environ, **environment},
        cwd=django_settings.BASE_DIR,
        check=False,
        timeout=120,
    )
    assert process.returncode == -signal.SIGKILL
    assert not ErasureProof.objects.exists()
    assert Erasure.objects.get().begun_at
    connection.close()

    assert is_over()
    assert list(store.keys()) == []
    assert ErasureProof.objects.get().contents["removed"]["versions"] == 3
    assert AccessRecord.objects.filter(verb=Verb.ERASED).count() == 1
    assert Encounter.objects.get().erased_at is None


# Many people at once


@pytest.mark.parametrize("again", range(5))
def test_nobody_waits_for_somebody_who_waits_for_them(encounter, video, alice, bob, store, again):
    """A record locks its encounter's row at its end, and the chain before: in that order everywhere."""

    def look():
        Caller(user=bob).record(Verb.ENCOUNTER_VIEWED, encounter=encounter, video=video)

    def hold():
        holds.hold(caller=Caller(user=alice), encounter=encounter, reason="Complaint.")

    def delete():
        try:
            erasure.delete(caller=Caller(user=alice), video=video)
        except erasure.Held:
            return

    answers = at_once(look, hold, look, delete, look, lambda: withdraw(encounter, alice), look)

    assert answers == [None] * 7
