"""The chain of custody: what was recorded of a video, and whether the store still holds that."""

import hashlib
import json
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from encounters.models import AccessRecord, Verb, Video
from tests.encounters.support import CONTENT, TWO_PARTS, checksum, send
from transcoding import jobs
from transcoding.engine.contracts import OutputKind
from transcoding.models import Rendition

pytestmark = pytest.mark.django_db
MP4 = b"what was made"


@pytest.fixture
def video(store, consenting_client):
    """A video as sent by a patient, converted: digests filed, objects in the store."""
    return converted(store, send(consenting_client))


def converted(store, video, content=CONTENT):
    key = f"{video.source_key.rpartition('.')[0]}.web.mp4"
    store.put(key, MP4, "video/mp4")
    Rendition.objects.create(
        job=video.job,
        kind=OutputKind.MP4,
        object_key=key,
        content_type="video/mp4",
        size=len(MP4),
        sha256=hashlib.sha256(MP4).hexdigest(),
    )
    attempt = jobs.claim(video.job_id, host="worker-1")
    attempt.note(ffmpeg_version="7.1", ffmpeg_arguments=["ffmpeg", "-i", "in", "out"])
    type(video.job).objects.update(source_sha256=hashlib.sha256(content).hexdigest())
    return Video.objects.get(pk=video.pk)


def verify(*videos):
    out, errors = StringIO(), StringIO()
    try:
        call_command("verify_custody", *[str(video.pk) for video in videos], stdout=out, stderr=errors)
    except CommandError as error:
        return errors.getvalue().splitlines(), str(error)
    return out.getvalue()


# The record


def test_it_holds_every_digest_from_phone_to_player(staff_client, video):
    answer = staff_client.get(f"/videos/{video.pk}/custody.json")

    found = json.loads(answer.content)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="custody-{video.pk}.json"'
    assert (found["video"], found["encounter"]) == (str(video.pk), video.encounter.reference)
    assert found["announced"]["fingerprint"] == hashlib.sha256(CONTENT).hexdigest()
    assert found["parts"] == [{"number": 1, "sha256": checksum(CONTENT)}]
    assert found["received"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert found["made"][0]["sha256"] == hashlib.sha256(MP4).hexdigest()
    assert found["conversions"][0]["ffmpeg_version"] == "7.1"
    assert found["conversions"][0]["ffmpeg_arguments"] == ["ffmpeg", "-i", "in", "out"]


def test_it_names_everybody_who_saw_it(staff_client, bobs_client, video):
    bobs_client.get(f"/encounters/{video.encounter.reference}/")

    found = staff_client.get(f"/videos/{video.pk}/custody.json").json()

    assert [(record["who"], record["act"]) for record in found["access"]] == [
        ("The patient", "upload started"),
        ("The patient", "upload completed"),
        ("Bob", "encounter viewed"),
        ("Alice", "chain of custody exported"),
    ]
    assert found["access"][-1]["digest"] == AccessRecord.objects.last().digest


def test_the_page_shows_the_same_to_be_printed(staff_client, video):
    page = staff_client.get(f"/videos/{video.pk}/custody/").content.decode()

    for digest in (video.fingerprint, video.job.source_sha256, hashlib.sha256(MP4).hexdigest()):
        assert digest in page


def test_the_encounter_leads_there(staff_client, video):
    page = staff_client.get(f"/encounters/{video.encounter.reference}/").content.decode()

    assert f'href="/videos/{video.pk}/custody/"' in page


def test_an_upload_that_is_under_way_has_a_record_too(staff_client, upload):
    found = staff_client.get(f"/videos/{upload}/custody.json").json()

    assert (found["received"], found["made"], found["conversions"]) == (None, [], [])
    assert staff_client.get(f"/videos/{upload}/custody/").status_code == 200


def test_looking_at_it_is_recorded(staff_client, alice, video):
    staff_client.get(f"/videos/{video.pk}/custody/")

    record = AccessRecord.objects.get(verb=Verb.CUSTODY_EXPORTED)
    assert (record.user, record.video) == (alice, video)


def test_nobody_else_gets_it(charlies_client, admin_client, consenting_client, video):
    for path in (f"/videos/{video.pk}/custody/", f"/videos/{video.pk}/custody.json"):
        assert charlies_client.get(path).status_code == 404
        assert admin_client.get(path).status_code == 403
        assert consenting_client.get(path).status_code == 302


# Proof


def test_what_the_store_holds_is_proved(video):
    assert verify() == verify(video) == "1 videos, each as recorded.\n"


def test_parts_are_proved_one_by_one(store, consenting_client):
    video = converted(store, send(consenting_client, TWO_PARTS), TWO_PARTS)
    assert verify(video) == "1 videos, each as recorded.\n"

    video.parts.filter(number=2).update(sha256=checksum(b"something else"))

    lines, _ = verify(video)
    assert lines == [f"{video.pk}: Part 2 of {video.source_key} is not what was signed for."]


def test_a_changed_original_is_found(store, video):
    store.put(video.source_key, CONTENT[:-1] + b"!", "video/quicktime")

    lines, error = verify(video)

    assert lines == [
        f"{video.pk}: {video.source_key} was changed.",
        f"{video.pk}: Part 1 of {video.source_key} is not what was signed for.",
    ]
    assert "2 objects" in error


def test_a_changed_mp4_is_found(store, video):
    key = video.job.renditions.get().object_key
    store.put(key, b"another", "video/mp4")

    assert verify(video)[0] == [f"{video.pk}: {key} was changed."]


def test_a_missing_object_is_found(store, video):
    store.delete(video.source_key)

    assert verify(video)[0] == [f"{video.pk}: {video.source_key} is missing."]


def test_an_original_that_nothing_has_read_whole_is_said_to_be_so(store, consenting_client):
    video = send(consenting_client)

    assert "no digest to compare with" in verify(video)[0][0]


@pytest.mark.usefixtures("store")
def test_what_is_still_arriving_or_was_refused_is_left_out(consenting_client, upload):
    assert verify() == "0 videos, each as recorded.\n"


def test_a_dead_store_is_no_proof(video, unreachable_store):
    _, error = verify(video)

    assert "does not answer" in error


def test_an_unknown_video_is_refused():
    with pytest.raises(CommandError, match="does not exist"):
        call_command("verify_custody", "6f1c1e0a-8d0b-4a5e-9a3f-0d6a2f6d8c11")


def test_nothing_stays_on_the_disk(video):
    verify(video)

    assert not any(path.is_file() for path in settings.WORK_DIR.rglob("object"))
