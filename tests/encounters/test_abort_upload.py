"""DELETE /uploads/<id>/: the patient stops an upload."""

import uuid

import pytest

from encounters.models import AccessRecord, Verb, Video, VideoState
from tests.encounters.support import complete
from transcoding.engine.store import NoSuchUpload

pytestmark = pytest.mark.usefixtures("store")


def test_the_store_forgets_what_was_sent(consenting_client, sent_upload, store):
    answer = consenting_client.delete(f"/uploads/{sent_upload}/")

    video = Video.objects.get()
    assert answer.status_code == 200
    assert answer.json()["state"] == "removed"
    assert video.state == VideoState.REMOVED
    with pytest.raises(NoSuchUpload):
        store.parts(video.source_key, video.upload_id)
    assert list(store.keys()) == []
    assert AccessRecord.objects.filter(verb=Verb.UPLOAD_ABORTED, video=video).count() == 1


def test_stopping_twice_is_stopping_once(consenting_client, upload):
    first, second = (consenting_client.delete(f"/uploads/{upload}/") for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert AccessRecord.objects.filter(verb=Verb.UPLOAD_ABORTED).count() == 1


def test_a_received_video_stays(consenting_client, sent_upload, store):
    complete(consenting_client, sent_upload)

    answer = consenting_client.delete(f"/uploads/{sent_upload}/")

    video = Video.objects.get()
    assert (answer.status_code, answer.json()["received"]) == (200, True)
    assert video.state == VideoState.WAITING
    assert list(store.keys()) == [video.source_key]


def test_a_colleague_of_the_team_may_stop_it(bobs_client, upload):
    assert bobs_client.delete(f"/uploads/{upload}/").status_code == 200


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
def test_nobody_else_may_stop_it(upload, browser_of, who, status):
    answer = browser_of(who).delete(f"/uploads/{upload}/")

    assert answer.status_code == status
    assert Video.objects.get(pk=upload).state == VideoState.UPLOADING


def test_the_csrf_token_is_needed(strict_client, upload):
    assert strict_client.delete(f"/uploads/{upload}/").status_code == 403
    assert Video.objects.get().state == VideoState.UPLOADING


def test_an_upload_that_is_not_there_gives_404(consenting_client):
    assert consenting_client.delete(f"/uploads/{uuid.uuid4()}/").status_code == 404


def test_with_a_dead_store_it_is_stopped_all_the_same(consenting_client, upload, unreachable_store):
    answer = consenting_client.delete(f"/uploads/{upload}/")

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert Video.objects.get().state == VideoState.REMOVED
