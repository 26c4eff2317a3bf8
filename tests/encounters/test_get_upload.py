"""GET /uploads/<id>/: what the store has."""

import uuid

import pytest
from django.utils import timezone

from encounters.models import Video
from tests.encounters.support import CONTENT, TWO_PARTS, announce, checksum, complete, send_parts, sign
from transcoding.models import Status

MIB = 1024**2
pytestmark = pytest.mark.usefixtures("store")


def test_it_lists_the_parts_that_the_store_has(consenting_client):
    upload = announce(consenting_client, TWO_PARTS).json()["id"]
    send_parts(consenting_client, upload, TWO_PARTS, numbers={1})
    sign(consenting_client, upload, {2: checksum(TWO_PARTS[8 * MIB :])})

    answer = consenting_client.get(f"/uploads/{upload}/")

    assert answer.status_code == 200
    assert answer.json() == {
        "id": upload,
        "size": len(TWO_PARTS),
        "part_size": 8 * MIB,
        "parts": [{"number": 1, "size": 8 * MIB, "sha256": checksum(TWO_PARTS[: 8 * MIB])}],
        "received": False,
        "state": "uploading",
        "final": False,
        "message": "",
    }


def test_a_received_video_has_no_parts_left(consenting_client, sent_upload):
    complete(consenting_client, sent_upload)

    answer = consenting_client.get(f"/uploads/{sent_upload}/").json()

    assert (answer["received"], answer["state"], answer["parts"]) == (True, "waiting", [])


def test_it_says_in_words_why_a_video_could_not_be_read(consenting_client, sent_upload):
    complete(consenting_client, sent_upload)
    Video.objects.get().job.move(
        Status.QUEUED, to=Status.FAILED, failure_code="damaged", finished_at=timezone.now()
    )

    answer = consenting_client.get(f"/uploads/{sent_upload}/").json()

    assert (answer["state"], answer["final"]) == ("failed", True)
    assert answer["message"].startswith("Part of this video is missing or broken.")


def test_an_aborted_upload_is_removed(consenting_client, sent_upload):
    consenting_client.delete(f"/uploads/{sent_upload}/")

    answer = consenting_client.get(f"/uploads/{sent_upload}/").json()

    assert (answer["state"], answer["final"], answer["parts"]) == ("removed", True, [])


def test_a_colleague_of_the_team_may_look(bobs_client, upload):
    assert bobs_client.get(f"/uploads/{upload}/").status_code == 200


def test_an_upload_that_the_store_forgot_is_gone(consenting_client, sent_upload, store):
    video = Video.objects.get()
    store.abort(video.source_key, video.upload_id)

    answer = consenting_client.get(f"/uploads/{sent_upload}/")

    assert (answer.status_code, answer.json()["code"]) == (410, "upload_gone")


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
def test_nobody_else_learns_anything(upload, browser_of, who, status):
    answer = browser_of(who).get(f"/uploads/{upload}/")

    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message"}


def test_an_upload_that_is_not_there_gives_404(consenting_client):
    assert consenting_client.get(f"/uploads/{uuid.uuid4()}/").status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "patch"])
def test_other_methods_are_refused(consenting_client, upload, method):
    assert getattr(consenting_client, method)(f"/uploads/{upload}/").status_code == 405


def test_a_part_whose_checksum_the_store_refused_is_sent_again(consenting_client, sent_upload):
    """Signed anew for other bytes that never came: else the browser would skip it again and again."""
    other = CONTENT[::-1]
    sign(consenting_client, sent_upload, {1: checksum(other)})
    complete(consenting_client, sent_upload)

    (part,) = consenting_client.get(f"/uploads/{sent_upload}/").json()["parts"]

    assert part["sha256"] != checksum(other)


def test_a_dead_store_is_said_in_words(consenting_client, upload, unreachable_store):
    answer = consenting_client.get(f"/uploads/{upload}/")

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
