"""POST /uploads/: a file is announced."""

import re

import pytest
from django.utils import timezone

from encounters import uploads
from encounters.models import AccessRecord, UploadPart, Verb, Video
from encounters.offers import part_size_for
from tests.conftest import at_once
from tests.encounters.support import (
    CONTENT,
    TWO_PARTS,
    announce,
    announcement,
    begin,
    checksum,
    complete,
    make_video,
    post,
    send,
    send_parts,
)
from transcoding.models import Status, TranscodeJob

MIB = 1024**2
pytestmark = pytest.mark.usefixtures("store")


def test_a_patient_announces_a_file(consenting_client, encounter):
    answer = announce(consenting_client)

    video = Video.objects.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "id": str(video.pk),
        "part_size": 8 * MIB,
        "parts": [],
        "resumed": False,
        "received": False,
        "busy": False,
    }
    assert video.encounter == encounter
    assert (video.original_name, video.size, video.announced_type) == (
        "IMG_0042.MOV",
        len(CONTENT),
        "video/quicktime",
    )
    assert AccessRecord.objects.filter(verb=Verb.UPLOAD_STARTED, video=video, user=None).count() == 1


def test_the_key_is_random_and_says_nothing(consenting_client, encounter):
    announce(consenting_client, filename="Rosalind Quillfeather 27.3.1958.MOV")

    key = Video.objects.get().source_key
    assert re.fullmatch(rf"{encounter.reference}/[0-9a-f]{{40}}\.mov", key)


@pytest.mark.parametrize(
    ("filename", "shown", "extension"),
    [
        ("../../etc/passwd.mp4", "../../etc/passwd.mp4", "mp4"),
        ("C:\\films\\clip.MOV", "C:\\films\\clip.MOV", "mov"),
        ("new\nline\x00\x1b[31m.mov", "newline[31m.mov", "mov"),
        ("turned\u202evom.mp4", "turnedvom.mp4", "mp4"),
        ("x" * 300 + ".mov", "x" * 255, "mov"),
        ("video", "video", "mov"),
        ("", "", "mov"),
        ("clip.mp4/../../other.mov", "clip.mp4/../../other.mov", "mov"),
    ],
)
def test_nothing_of_a_file_name_but_a_known_extension_reaches_the_key(
    consenting_client, encounter, filename, shown, extension
):
    answer = announce(consenting_client, filename=filename)

    video = Video.objects.get()
    assert answer.status_code == 201
    assert video.original_name == shown
    assert re.fullmatch(rf"{encounter.reference}/[0-9a-f]{{40}}\.{extension}", video.source_key)


def test_a_file_without_a_telling_name_is_taken_by_its_type(consenting_client):
    answer = announce(consenting_client, filename="video", type="video/3gpp; codecs=h263")

    assert answer.status_code == 201
    assert Video.objects.get().source_key.endswith(".3gp")


def test_staff_announce_a_file_by_naming_the_encounter(bobs_client, encounter, bob):
    answer = announce(bobs_client, encounter=encounter.reference)

    assert answer.status_code == 201
    assert Video.objects.get().encounter == encounter
    assert AccessRecord.objects.get(verb=Verb.UPLOAD_STARTED).user == bob


def test_the_same_file_offered_again_continues_with_what_the_store_has(consenting_client):
    first = announce(consenting_client, TWO_PARTS).json()["id"]
    send_parts(consenting_client, first, TWO_PARTS, numbers={2})

    answer = announce(consenting_client, TWO_PARTS)

    assert answer.status_code == 201
    assert answer.json() == {
        "id": first,
        "part_size": 8 * MIB,
        "parts": [{"number": 2, "size": len(TWO_PARTS) - 8 * MIB, "sha256": checksum(TWO_PARTS[8 * MIB :])}],
        "resumed": True,
        "received": False,
        "busy": False,
    }
    assert Video.objects.count() == 1


def test_the_same_file_offered_again_after_completion_is_there_already(consenting_client):
    video = send(consenting_client)

    answer = announce(consenting_client).json()

    assert (answer["id"], answer["received"], answer["resumed"]) == (str(video.pk), True, True)


def test_the_same_file_in_another_encounter_is_another_upload(consenting_client, other_patient_client):
    mine = announce(consenting_client).json()
    theirs = announce(other_patient_client).json()

    assert mine["id"] != theirs["id"]
    assert not theirs["resumed"]


def test_a_file_that_could_not_be_read_may_be_sent_anew(consenting_client):
    video = send(consenting_client)
    video.job.move(Status.QUEUED, to=Status.FAILED, failure_code="damaged", finished_at=video.received_at)

    answer = announce(consenting_client).json()

    assert answer["id"] != str(video.pk)
    assert not answer["resumed"]


def test_an_aborted_upload_is_begun_anew(consenting_client, upload):
    consenting_client.delete(f"/uploads/{upload}/")

    answer = announce(consenting_client).json()

    assert answer["id"] != upload


def test_an_upload_that_the_store_forgot_is_begun_anew(consenting_client, store):
    upload = begin(consenting_client)
    video = Video.objects.get()
    store.abort(video.source_key, video.upload_id)

    answer = announce(consenting_client)

    assert (answer.status_code, answer.json()["id"], answer.json()["parts"]) == (201, upload, [])
    send_parts(consenting_client, upload)
    assert complete(consenting_client, upload).status_code == 200


# Who may not


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("a stranger", 403),
        ("Charlie", 403),
        ("an admin", 403),
        ("a patient whose link was withdrawn", 403),
        ("a patient whose link expired", 403),
        ("a patient whose encounter is closed", 403),
    ],
)
def test_without_a_link_that_holds_nothing_is_announced(browser_of, who, status):
    answer = announce(browser_of(who))

    assert answer.status_code == status
    assert answer.json()["code"] == "link_needed"
    assert not Video.objects.exists()


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("a stranger", 404),
        ("another patient", 404),
        ("Charlie", 404),
        ("an admin", 404),
        ("a patient whose link was withdrawn", 404),
    ],
)
def test_only_the_team_may_name_an_encounter(browser_of, encounter, who, status):
    answer = announce(browser_of(who), encounter=encounter.reference)

    assert answer.status_code == status
    assert not Video.objects.exists()


def test_nothing_is_added_to_a_closed_encounter(staff_client, browser_of, encounter):
    browser_of("a patient whose encounter is closed")

    assert announce(staff_client, encounter=encounter.reference).status_code == 404


def test_consent_comes_first(patient_client):
    answer = announce(patient_client)

    assert (answer.status_code, answer.json()["code"]) == (409, "consent_missing")
    assert not Video.objects.exists()


def test_the_csrf_token_is_needed(strict_client):
    assert announce(strict_client).status_code == 403
    assert not Video.objects.exists()


def test_the_page_s_csrf_token_is_taken(strict_client):
    page = strict_client.get("/send/videos/").content.decode()
    token = re.search(r'data-csrf="(\w+)"', page)[1]

    answer = post(strict_client, "/uploads/", announcement(), headers={"X-CSRFToken": token})

    assert answer.status_code == 201


def test_an_upload_is_announced_by_post_alone(consenting_client):
    assert consenting_client.get("/uploads/").status_code == 405
    assert consenting_client.put("/uploads/").status_code == 405
    assert consenting_client.delete("/uploads/").status_code == 405


# Bad input


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"size": 0}, 422, "empty"),
        ({"size": 5 * 1024**3 + 1}, 413, "too_large"),
        ({"filename": "letter.pdf", "type": "application/pdf"}, 415, "not_a_video"),
        ({"filename": "page.html", "type": ""}, 415, "not_a_video"),
        ({"filename": "photo.jpg", "type": "image/jpeg"}, 415, "not_a_video"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_words_and_filed(
    consenting_client, encounter, changes, status, code
):
    answer = announce(consenting_client, **changes)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["message"].endswith(".")
    job = TranscodeJob.objects.get()
    assert (job.status, job.failure_code, job.attempt) == (Status.FAILED, code, 0)
    assert job.video.encounter == encounter
    assert AccessRecord.objects.get(verb=Verb.UPLOAD_REFUSED).reason == code
    assert job.video.upload_id == ""


def test_a_file_of_exactly_the_largest_size_is_taken(consenting_client):
    assert announce(consenting_client, size=5 * 1024**3).status_code == 201


def test_the_limit_is_named_in_the_refusal(consenting_client, settings):
    settings.UPLOAD_MAX_BYTES = 300 * 10**6

    answer = announce(consenting_client, size=301 * 10**6)

    assert "300\xa0MB" in answer.json()["message"]


@pytest.mark.parametrize(
    "changes",
    [
        {"filename": None},
        {"filename": 7},
        {"size": -1},
        {"size": 1.5},
        {"size": "300"},
        {"size": True},
        {"size": None},
        {"size": 2**63},
        {"type": None},
        {"type": ["video/mp4"]},
        {"fingerprint": "short"},
        {"fingerprint": "G" * 64},
        {"fingerprint": "A" * 64},
        {"fingerprint": None},
        {"encounter": 7},
        {"encounter": ["e5fa44f2b31"]},
    ],
    ids=repr,
)
def test_an_announcement_that_makes_no_sense_is_refused(consenting_client, changes):
    answer = announce(consenting_client, **changes)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert not Video.objects.exists()


@pytest.mark.parametrize("body", ["", "{", "[]", "7", "null", '"text"', b"\xff\xfe"])
def test_a_body_that_is_no_json_object_is_refused(consenting_client, body):
    answer = consenting_client.post("/uploads/", body, content_type="application/json")

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_a_link_allows_so_many_videos_and_no_more(consenting_client, encounter, settings):
    settings.UPLOAD_MAX_VIDEOS = 2
    make_video(encounter, "one", Status.SUCCEEDED)
    make_video(encounter, "two")
    make_video(encounter, "three", Status.SUCCEEDED, removed_at=timezone.now())

    answer = announce(consenting_client)

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_videos")
    assert Video.objects.count() == 3


def test_a_dead_store_is_said_in_words_and_the_upload_goes_on_later(
    consenting_client, unreachable_store, settings, store
):
    first = announce(consenting_client)
    settings.S3_ENDPOINT = store.config.endpoint
    uploads.object_store.cache_clear()
    second = announce(consenting_client)

    assert (first.status_code, first.json()["code"]) == (503, "store_unavailable")
    assert second.status_code == 201
    assert Video.objects.count() == 1


@pytest.mark.parametrize("odd", ["\\u0000", "\\ud800"], ids=["NUL", "lone surrogate"])
def test_letters_that_no_database_stores_are_no_fault_of_ours(consenting_client, odd):
    sound = f'"filename": "clip{odd}.mov", "size": 9, "fingerprint": "{"a" * 64}"'

    for extra in [f'"type": "video/mp4{odd}"', f'"type": "", "encounter": "{odd}"']:
        body = f"{{{sound}, {extra}}}"
        answer = consenting_client.post("/uploads/", body, content_type="application/json")
        assert answer.status_code in {201, 400, 404}


# Races


@pytest.mark.django_db(transaction=True)
def test_two_announcements_of_one_file_at_once_give_one_upload(consenting_client):
    answers = at_once(*[lambda: announce(consenting_client)] * 2)

    assert [answer.status_code for answer in answers] == [201, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    video = Video.objects.get()
    send_parts(consenting_client, video.pk)
    assert complete(consenting_client, video.pk).status_code == 200
    assert UploadPart.objects.count() == 1


# Arithmetic


@pytest.mark.parametrize(
    ("size", "part_size"),
    [
        (1, 8 * MIB),
        (5 * 1024**3, 8 * MIB),
        (10_000 * 8 * MIB, 8 * MIB),
        (10_000 * 8 * MIB + 1, 9 * MIB),
        (5 * 1024**4, 525 * MIB),
    ],
)
def test_parts_are_as_small_as_ten_thousand_of_them_allow(size, part_size):
    assert part_size_for(size) == part_size
    assert -(-size // part_size) <= 10_000
