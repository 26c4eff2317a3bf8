"""POST /uploads/<id>/parts/: permissions to send parts."""

import time
import uuid

import pytest

from encounters.models import UploadPart, Video
from tests.conftest import at_once
from tests.encounters.support import (
    CONTENT,
    TWO_PARTS,
    announce,
    checksum,
    complete,
    pieces,
    post,
    put,
    send_parts,
    sign,
)

ONE = {1: checksum(CONTENT)}
pytestmark = pytest.mark.usefixtures("store")


def test_a_signed_part_can_be_sent(consenting_client, upload):
    answer = sign(consenting_client, upload, ONE)

    (permission,) = answer.json()["urls"]
    assert answer.status_code == 200
    assert permission["number"] == 1
    assert permission["headers"] == {
        "x-amz-checksum-sha256": ONE[1],
        "Content-Type": "application/octet-stream",
    }
    assert permission["expires_in"] == 900
    assert put(permission, CONTENT) == 200


def test_several_parts_are_signed_at_once(consenting_client):
    upload = announce(consenting_client, TWO_PARTS).json()["id"]

    answer = sign(
        consenting_client, upload, {number: checksum(piece) for number, piece in pieces(TWO_PARTS).items()}
    )

    assert [permission["number"] for permission in answer.json()["urls"]] == [1, 2]


def test_a_colleague_of_the_team_may_send_parts(bobs_client, upload):
    assert sign(bobs_client, upload, ONE).status_code == 200


def test_a_part_signed_with_one_checksum_refuses_other_bytes(consenting_client, upload):
    (permission,) = sign(consenting_client, upload, ONE).json()["urls"]

    assert put(permission, CONTENT[::-1]) == 400


def test_a_permission_does_not_serve_another_checksum(consenting_client, upload):
    other = CONTENT[::-1]
    (permission,) = sign(consenting_client, upload, ONE).json()["urls"]
    permission["headers"] = {"x-amz-checksum-sha256": checksum(other)}

    assert put(permission, other) in {400, 403}


def test_a_permission_does_not_serve_without_its_checksum(consenting_client, upload):
    (permission,) = sign(consenting_client, upload, ONE).json()["urls"]
    permission["headers"] = {}

    assert put(permission, CONTENT) in {400, 403}


def test_a_permission_does_not_serve_another_part_or_key(consenting_client, upload, encounter):
    (permission,) = sign(consenting_client, upload, ONE).json()["urls"]

    for change in [("partNumber=1", "partNumber=2"), (encounter.reference, "another")]:
        assert put({**permission, "url": permission["url"].replace(*change)}, CONTENT) == 403


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x"], ids=["shorter", "longer"])
def test_a_permission_does_not_serve_another_size(consenting_client, upload, content):
    """Not even with a checksum that fits: nobody fills the store with what was never announced."""
    (permission,) = sign(consenting_client, upload, {1: checksum(content)}).json()["urls"]

    assert put(permission, content) == 403


def test_a_permission_does_not_serve_another_type(consenting_client, upload):
    (permission,) = sign(consenting_client, upload, ONE).json()["urls"]
    permission["headers"]["Content-Type"] = "text/html"

    assert put(permission, CONTENT) == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_a_permission_does_not_serve_another_method(consenting_client, upload, method):
    (permission,) = sign(consenting_client, upload, ONE).json()["urls"]

    assert put(permission, CONTENT if method == "POST" else None, method) == 403


def test_a_permission_does_not_serve_another_upload(consenting_client, other_patient_client, upload):
    announce(other_patient_client)
    mine, theirs = Video.objects.order_by("created_at")
    (permission,) = sign(consenting_client, upload, ONE).json()["urls"]
    for change in [(mine.upload_id, theirs.upload_id), (mine.source_key, theirs.source_key)]:
        assert put({**permission, "url": permission["url"].replace(*change)}, CONTENT) == 403


def test_a_permission_runs_out(consenting_client, upload, settings):
    settings.UPLOAD_URL_SECONDS = 1
    (permission,) = sign(consenting_client, upload, ONE).json()["urls"]
    time.sleep(2.1)

    assert put(permission, CONTENT) == 403


def test_a_part_may_be_signed_again_with_another_checksum(consenting_client, upload):
    sign(consenting_client, upload, {1: checksum(b"first")})
    sign(consenting_client, upload, ONE)

    assert UploadPart.objects.get().sha256 == ONE[1]


# Who may not


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("a stranger", 403),
        ("another patient", 404),
        ("Charlie", 404),
        ("an admin", 404),
        ("a patient whose link was withdrawn", 403),
        ("a patient whose link expired", 403),
        ("a patient whose encounter is closed", 403),
    ],
)
def test_nobody_else_gets_a_permission(upload, browser_of, who, status):
    answer = sign(browser_of(who), upload, ONE)

    assert answer.status_code == status
    assert "urls" not in answer.json()
    assert not UploadPart.objects.exists()


def test_an_upload_that_is_not_there_gives_404(consenting_client):
    assert sign(consenting_client, uuid.uuid4(), ONE).status_code == 404


def test_the_csrf_token_is_needed(strict_client, upload):
    assert sign(strict_client, upload, ONE).status_code == 403


def test_parts_are_signed_by_post_alone(consenting_client, upload):
    assert consenting_client.get(f"/uploads/{upload}/parts/").status_code == 405
    assert consenting_client.put(f"/uploads/{upload}/parts/").status_code == 405
    assert consenting_client.delete(f"/uploads/{upload}/parts/").status_code == 405


# Bad input


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [{"number": 0, "sha256": ONE[1]}],
        [{"number": 2, "sha256": ONE[1]}],
        [{"number": -1, "sha256": ONE[1]}],
        [{"number": 1, "sha256": "not base64"}],
        [{"number": 1, "sha256": "YWJj"}],
        [{"number": 1, "sha256": ""}],
        [{"number": 1, "sha256": ONE[1] + "\n"}],
        [{"number": 1, "sha256": ONE[1]}] * 2,
        [{"number": 1, "sha256": ONE[1]}] * 101,
    ],
    ids=[
        "none",
        "number 0",
        "beyond the last",
        "negative",
        "no base64",
        "too short",
        "no checksum",
        "a line end",
        "twice the same",
        "too many",
    ],
)
def test_parts_that_the_upload_does_not_have_are_not_signed(consenting_client, upload, parts):
    answer = post(consenting_client, f"/uploads/{upload}/parts/", {"parts": parts})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_parts")
    assert not UploadPart.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"parts": 7},
        {"parts": None},
        {"parts": [7]},
        {"parts": ["x"]},
        {"parts": [{"number": 1}]},
        {"parts": [{"number": "1", "sha256": ONE[1]}]},
        {"parts": [{"number": True, "sha256": ONE[1]}]},
        {"parts": [{"number": 1, "sha256": None}]},
        [],
    ],
    ids=repr,
)
def test_a_request_that_makes_no_sense_is_refused(consenting_client, upload, body):
    answer = post(consenting_client, f"/uploads/{upload}/parts/", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


def test_nothing_is_signed_for_a_received_video(consenting_client, sent_upload):
    complete(consenting_client, sent_upload)

    assert sign(consenting_client, sent_upload, ONE).status_code == 400


def test_nothing_is_signed_for_an_aborted_upload(consenting_client, upload):
    consenting_client.delete(f"/uploads/{upload}/")

    answer = sign(consenting_client, upload, ONE)

    assert (answer.status_code, answer.json()["code"]) == (410, "upload_gone")


# Races


@pytest.mark.django_db(transaction=True)
def test_the_parts_of_one_upload_are_signed_at_once(consenting_client):
    upload = announce(consenting_client, TWO_PARTS).json()["id"]

    at_once(
        *[
            lambda number=number: send_parts(consenting_client, upload, TWO_PARTS, {number})
            for number in (1, 2)
        ]
    )

    assert complete(consenting_client, upload).status_code == 200
