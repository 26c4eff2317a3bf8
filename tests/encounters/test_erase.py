"""Erasing: every version of every object, seen to be gone, proved, and no word left of the patient."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, models, transaction
from django.utils import timezone

from encounters import custody, erasure
from encounters.callers import Caller
from encounters.disposal import Erasure, ErasureProof, ProofsAreFinal, Why, digest_of
from encounters.encounters import open_encounter
from encounters.models import (
    AccessRecord,
    Consent,
    Encounter,
    Invitation,
    Patient,
    Purpose,
    Relation,
    UploadPart,
    Verb,
    Video,
    VideoState,
)
from tests.conftest import drop_triggers
from tests.encounters.support import begin, make_renditions, make_video, send
from transcoding.engine.keys import result_key
from transcoding.engine.store import StoreError
from transcoding.models import Rendition, Status, TranscodeAttempt, TranscodeJob
from transcoding.store import object_store

pytestmark = pytest.mark.django_db(transaction=True)


def fill(video, store):
    """Put an original and all that is made of it into the store; gives the keys."""
    mp4, poster = make_renditions(video)
    made = [video.source_key, mp4, poster, result_key(video.source_key)]
    for key in made:
        store.put(key, b"film", "video/mp4")
    return made


@pytest.fixture
def video(encounter, store):
    found = make_video(encounter, "Rosalind walking.mov", Status.SUCCEEDED)
    TranscodeJob.objects.filter(pk=found.job_id).update(
        source_sha256="a" * 64, facts={"where": "+52.5+13.4/"}, failure_detail="x"
    )
    TranscodeAttempt.objects.create(
        job=found.job, number=1, runner="local", host="x", outcome="succeeded", ended_at=timezone.now(),
        log_tail="title: my left knee",
    )  # fmt: skip
    UploadPart.objects.create(video=found, number=1, sha256="x")
    fill(found, store)
    return found


@pytest.fixture
def versioned(store, settings):
    """The store, its bucket replaced by one that keeps versions."""
    settings.S3_BUCKET = "versioned"
    object_store.cache_clear()
    found = object_store()
    found.create_bucket()
    found.client.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    yield found
    object_store.cache_clear()


def withdrawn(encounter, alice):
    erasure.withdraw(caller=Caller(user=alice), encounter=encounter)
    return Erasure.objects.get(encounter=encounter, video=None).pk


def deleted(video, alice):
    """A deletion whose day of grace is over."""
    erasure.delete(caller=Caller(user=alice), video=video)
    past = timezone.now() - timedelta(seconds=1)
    Erasure.objects.filter(video=video).update(not_before=past, next_try_at=past)
    return Erasure.objects.get(video=video).pk


def test_nothing_is_left_of_one_video_and_all_of_the_other(encounter, video, store, alice):
    other = make_video(encounter, "IMG_0002.MOV", Status.SUCCEEDED)
    kept = fill(other, store)
    stem = video.source_key.removesuffix(".mov")
    store.put(f"{stem}.web.mp4.unheard-of", b"x", "video/mp4")

    assert erasure.erase(deleted(video, alice))

    assert sorted(store.keys()) == sorted(kept)
    video.refresh_from_db()
    assert video.state == VideoState.ERASED
    other.refresh_from_db()
    assert other.state == VideoState.READY


def test_versions_and_delete_markers_go_too(encounter, versioned, alice):
    video = make_video(encounter, "IMG_0001.MOV", Status.SUCCEEDED)
    keys = fill(video, versioned)
    fill_again = [versioned.put(key, b"newer", "video/mp4") for key in keys]
    versioned.delete(keys[1])
    upload = versioned.start_upload(video.source_key, "video/quicktime")
    assert len(fill_again) == 4
    assert len(list(versioned.versions(encounter.reference))) == 9

    assert erasure.erase(deleted(video, alice))

    assert list(versioned.versions(encounter.reference)) == []
    assert list(versioned.open_uploads(encounter.reference)) == []
    removed = ErasureProof.objects.get().contents["removed"]
    assert removed == {"versions": 8, "delete_markers": 1, "uploads": 1, "bytes": 4 * 9}
    assert upload


def test_no_older_version_shows_while_the_newest_is_removed(encounter, versioned, alice, monkeypatch):
    video = make_video(encounter, "IMG_0001.MOV", Status.SUCCEEDED)
    keys = fill(video, versioned)
    for key in keys:
        versioned.put(key, b"newer", "video/mp4")
    shown = []
    remove = type(versioned).delete_version

    def watch(store, key, version):
        remove(store, key, version)
        shown.extend(store.keys(encounter.reference))

    monkeypatch.setattr(type(versioned), "delete_version", watch)

    assert erasure.erase(deleted(video, alice))
    assert shown == []


def test_other_encounters_are_left_alone(encounter, video, store, alice):
    neighbour = f"{encounter.reference}0/film.mov"
    store.put(neighbour, b"x", "video/quicktime")

    assert erasure.erase(withdrawn(encounter, alice))

    assert list(store.keys()) == [neighbour]


def test_a_name_that_begins_alike_is_another_video(encounter, store, alice):
    """Somebody with a key to the bucket chose these names."""
    short = make_video(encounter, "a", Status.SUCCEEDED, source_key=f"{encounter.reference}/knee.mov")
    long = make_video(encounter, "b", Status.SUCCEEDED, source_key=f"{encounter.reference}/knee.left.mov")
    for video in (short, long):
        TranscodeJob.objects.filter(pk=video.job_id).update(source_key=video.source_key)
        video.job.refresh_from_db()
    fill(short, store)
    kept = fill(long, store)

    assert erasure.erase(deleted(short, alice))

    assert sorted(store.keys()) == sorted(kept)
    short.refresh_from_db()
    assert "knee" not in short.source_key + short.job.source_key


def test_the_proof_says_what_when_and_why(encounter, video, alice):
    erasure.erase(deleted(video, alice))

    proof = ErasureProof.objects.get()
    assert (proof.encounter, proof.video, proof.why) == (encounter, video, Why.DELETED)
    assert proof.requested_at <= proof.begun_at <= proof.verified_at
    (described,) = proof.contents["videos"]
    assert described["video"] == str(video.pk)
    assert described["original"] == {"sha256": "a" * 64, "size": 1}
    assert [made["kind"] for made in described["made"]] == ["mp4", "poster"]
    assert proof.contents["removed"] == {"versions": 4, "delete_markers": 0, "uploads": 0, "bytes": 16}
    assert "Rosalind" not in str(proof.contents)


def test_the_proof_is_chained_and_cannot_be_changed(video, alice):
    erasure.erase(deleted(video, alice))

    proof = ErasureProof.objects.get()
    record = AccessRecord.objects.get(verb=Verb.ERASED)
    assert proof.digest in record.reason
    assert digest_of(proof) == proof.digest
    for act in (proof.save, proof.delete):
        with pytest.raises(ProofsAreFinal):
            act()
    for act in (ErasureProof.objects.all().delete, lambda: ErasureProof.objects.update(why="x")):
        with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
            act()


def test_no_word_is_left_of_a_video(video, alice):
    erasure.erase(deleted(video, alice))

    video.refresh_from_db()
    assert (video.original_name, video.announced_type, video.fingerprint) == ("", "", "")
    assert not UploadPart.objects.exists()
    assert not Rendition.objects.exists()
    job = video.job
    assert (job.facts, job.failure_detail, job.attempts.get().log_tail) == ({}, "", "")
    assert job.erased_at


def test_no_word_is_left_of_an_encounter_and_its_patient(encounter, video, alice):
    Encounter.objects.update(description="Rosalind falls.")
    Consent.objects.create(
        encounter=encounter,
        purpose=Purpose.DIAGNOSIS,
        version="1",
        language="en-gb",
        text="My clinic may watch.",
        relation=Relation.PARENT,
        proxy_name="Rosalind's mother",
    )

    assert erasure.erase(withdrawn(encounter, alice))

    encounter.refresh_from_db()
    assert (encounter.patient, encounter.description, encounter.what_to_film) == (None, "", "")
    consent = encounter.consents.get()
    assert (consent.text, consent.proxy_name) == ("My clinic may watch.", "")
    assert not Patient.objects.exists()
    assert AccessRecord.objects.filter(encounter=encounter).count() == 3


def test_a_patient_of_whom_something_is_kept_is_kept(encounter, alice, team, store):
    other = open_encounter(caller=Caller(user=alice), team=team, patient=encounter.patient, what_to_film="x")

    assert erasure.erase(withdrawn(encounter, alice))

    other.refresh_from_db()
    assert other.patient.family_name == "Quillfeather"


FORGOTTEN = {
    "encounters.Encounter": {"what_to_film", "description"},
    "encounters.Video": {
        "original_name", "announced_type", "fingerprint", "upload_id", "sender", "source_key",
    },
    "encounters.LegalHold": {"reason"},
    "encounters.Consent": {"proxy_name"},
    "encounters.Erasure": {"found", "trouble"},
    "encounters.UploadPart": {"sha256"},
    "encounters.Patient": {
        "record_number", "given_name", "family_name", "birth_date", "mobile", "email",
        "record_number_index", "index_key",
    },
}  # fmt: skip
KEPT = {
    "encounters.Encounter": {"reference"},
    "encounters.Consent": {"purpose", "version", "language", "text", "relation"},
    "encounters.ConsentWording": {"version", "language", "diagnosis", "record", "research"},
    "encounters.MessageText": {"channel", "language", "subject", "body"},
    "encounters.Invitation": {"token_hash", "channel", "language", "failure"},
    "encounters.AccessRecord": {"verb", "reason", "previous", "digest"},
    "encounters.Erasure": {"why"},
    "encounters.ErasureProof": {"why", "contents", "digest"},
    "encounters.Viewing": {"pieces"},
}
"""The records of who did what stay, by law; they are about staff, and name no patient by themselves."""


def test_for_every_text_somebody_has_decided_whether_it_is_forgotten():
    """A new column fails here until it stands in one of the two lists, and is erased if in the first."""
    text = (models.CharField, models.TextField, models.JSONField, models.DateField, models.BinaryField)
    found = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_app_config("encounters").get_models()
        for field in model._meta.fields
        if isinstance(field, text) and not isinstance(field, models.DateTimeField)
    } - {"encounters.Encounter.retain_until"}
    decided = [
        f"{label}.{name}" for side in (FORGOTTEN, KEPT) for label, names in side.items() for name in names
    ]

    assert found == set(decided)


def test_custody_does_not_call_it_lost(video, alice, capsys):
    erasure.erase(deleted(video, alice))

    call_command("verify_custody")
    call_command("verify_custody", str(video.pk))
    assert "1 videos, each as recorded; 1 erased." in capsys.readouterr().out
    video.refresh_from_db()
    assert list(custody.problems(video)) == []
    assert custody.record_of(video)["erased"]["proofs"] == [ErasureProof.objects.get().digest]


def test_the_audit_still_holds(encounter, video, alice):
    erasure.erase(withdrawn(encounter, alice))

    call_command("verify_audit")


def test_uploads_that_were_never_finished_go_too(encounter, store, consenting_client, alice):
    begin(consenting_client)
    send(consenting_client, b"\0\0\0\x14ftypqt  \0\0\0\0qt  another")

    assert erasure.erase(withdrawn(encounter, alice))

    assert list(store.keys()) == []
    assert list(store.open_uploads(encounter.reference)) == []
    assert not Invitation.objects.filter(revoked_at=None).exists()


# When it does not work


def test_a_store_that_is_away_is_tried_again_later_and_said(video, alice, admin_client, unreachable_store):
    pk = deleted(video, alice)
    pauses = []
    for _ in range(3):
        assert not erasure.erase(pk)
        found = Erasure.objects.get(pk=pk)
        pauses.append((found.next_try_at - timezone.now()).total_seconds())

    assert found.attempts == 3
    assert pauses == [pytest.approx(60, abs=30), pytest.approx(120, abs=30), pytest.approx(240, abs=30)]
    assert erasure.run() == {"erased": 0, "left": 0}
    assert "The store does not answer." in admin_client.get("/erasures/").content.decode()
    assert "1 erasure could not be ended" in " ".join(
        admin_client.get("/conversions/").content.decode().split()
    )


def test_it_goes_on_when_the_store_is_back(video, alice, store, monkeypatch):
    pk = deleted(video, alice)

    def fail(*args):
        raise StoreError("delete_object", "SlowDown")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "delete", fail)
        assert not erasure.erase(pk)
    assert Erasure.objects.get().trouble == "SlowDown"

    assert erasure.erase(pk)
    assert list(store.keys()) == []
    assert Erasure.objects.get().trouble == ""
    assert ErasureProof.objects.get().contents["removed"]["versions"] == 4


def test_a_store_that_keeps_what_it_said_it_removed_gets_no_proof(video, alice, store, monkeypatch):
    monkeypatch.setattr(type(store), "delete", lambda *args: None)
    monkeypatch.setattr(type(store), "delete_version", lambda *args: None)

    assert not erasure.erase(deleted(video, alice))

    assert Erasure.objects.get().trouble == "StillThere"
    assert not ErasureProof.objects.exists()


STEPS = [
    "encounters.erasure._note",
    "transcoding.erasing.empty",
    "transcoding.store.PortalStore.delete",
    "encounters.erasure._finish",
    "encounters.erasure._forget_video",
    "encounters.erasure._end",
    "encounters.erasure._record",
]


class Died(BaseException):
    pass


@pytest.mark.parametrize("step", STEPS)
def test_whoever_dies_in_between_leaves_it_to_the_next(video, store, alice, monkeypatch, step):
    pk = deleted(video, alice)

    def die(*args):
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(step, die)
        with pytest.raises(Died):
            erasure.erase(pk)
    Erasure.objects.update(next_try_at=timezone.now())

    assert erasure.run() == {"erased": 1, "left": 0}
    assert list(store.keys()) == []
    assert ErasureProof.objects.get().contents["removed"]["versions"] == 4
    assert AccessRecord.objects.filter(verb=Verb.ERASED).count() == 1


def test_so_does_whoever_dies_with_half_of_the_versions_removed(encounter, versioned, alice, monkeypatch):
    video = make_video(encounter, "IMG_0001.MOV", Status.SUCCEEDED)
    fill(video, versioned)
    pk = deleted(video, alice)
    remove, calls = type(versioned).delete_version, []

    def die_at_the_third(store, key, version):
        calls.append(key)
        if len(calls) == 3:
            raise Died
        remove(store, key, version)

    with monkeypatch.context() as patch:
        patch.setattr(type(versioned), "delete_version", die_at_the_third)
        with pytest.raises(Died):
            erasure.erase(pk)

    assert erasure.erase(pk)
    assert list(versioned.versions(encounter.reference)) == []
    # The markers are those that the first try had put before the versions that it did not reach.
    assert ErasureProof.objects.get().contents["removed"]["versions"] == 4


# What appears afterwards


def test_what_turns_up_later_is_erased_too(encounter, video, store, alice):
    erasure.erase(deleted(video, alice))
    video.refresh_from_db()
    late = video.source_key.replace(".mov", ".web.mp4")
    store.put(late, b"from a worker that was cut off", "video/mp4")

    assert erasure.look_again() == 1

    assert list(store.keys()) == []
    assert ErasureProof.objects.filter(why=Why.LEFTOVER).count() == 1
    assert erasure.look_again() == 0


def test_whoever_restored_a_backup_is_told_and_can_erase_again(encounter, video, store, alice, capsys):
    keys = sorted(store.keys())
    erasure.erase(withdrawn(encounter, alice))
    call_command("verify_erasures")
    for key in keys:
        store.put(key, b"from a backup", "video/mp4")

    with pytest.raises(CommandError):
        call_command("verify_erasures")
    assert f"Something of encounter {encounter.reference} is in the store." in capsys.readouterr().err
    call_command("verify_erasures", "--erase")
    call_command("verify_erasures")
    assert list(store.keys()) == []


def test_a_proof_that_somebody_changed_is_found(video, alice, capsys):
    erasure.erase(deleted(video, alice))
    drop_triggers("erasure_proof_update")
    ErasureProof.objects.update(why=Why.EXPIRED)

    with pytest.raises(CommandError):
        call_command("verify_erasures")
    assert "was changed." in capsys.readouterr().err


def test_a_video_that_was_never_deleted_is_never_erased(encounter, video, store):
    assert erasure.run() == {"erased": 0, "left": 0}
    assert erasure.expire() == 0
    assert erasure.look_again() == 0
    assert len(list(store.keys())) == 4
    assert Video.objects.get().state == VideoState.READY
