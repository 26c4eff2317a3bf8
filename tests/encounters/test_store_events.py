"""POST /uploads/arrived/: the store says that an object is there."""

import hmac
import json
import time

import pytest
from django.test import Client

from encounters.models import AccessRecord, Verb, Video, VideoState
from tests.conftest import tasks_waiting
from tests.encounters.support import TWO_PARTS, announce, send_parts
from tests.encounters.test_complete_upload import join_at_the_store
from transcoding.models import TranscodeJob

SECRET = "a secret of more than thirty-two letters"
BEARER = {"Authorization": f"Bearer {SECRET}"}
pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture(autouse=True)
def _secret(settings):
    settings.STORE_EVENTS_SECRET = SECRET


def post(event, headers=BEARER):
    body = event if isinstance(event, str) else json.dumps(event)
    client = Client(enforce_csrf_checks=True)
    return client.post("/uploads/arrived/", body, content_type="application/json", headers=headers)


def seaweed(key):
    return {"event_type": "create", "key": f"/buckets/videos/{key}", "message": {"new_entry": {}}}


def s3(key):
    entity = {"bucket": {"name": "videos"}, "object": {"key": key.replace("/", "%2F"), "size": 1}}
    return {"Records": [{"eventName": "ObjectCreated:CompleteMultipartUpload", "s3": entity}]}


def event_bridge(key):
    return {"detail-type": "Object Created", "detail": {"bucket": {"name": "videos"}, "object": {"key": key}}}


def signed(event, at=None, secret=SECRET):
    body, moment = json.dumps(event), str(int(at or time.time()))
    signature = hmac.new(secret.encode(), f"{moment}.{body}".encode(), "sha256").hexdigest()
    return body, {"X-Portal-Timestamp": moment, "X-Portal-Signature": signature}


@pytest.fixture
def joined(sent_upload, store):
    """The key of an object whose browser vanished, and whose process died, before it was received."""
    join_at_the_store(store)
    return Video.objects.get().source_key


@pytest.mark.parametrize("form", [seaweed, s3, event_bridge])
def test_what_the_browser_never_completed_becomes_a_video(joined, form):
    answer = post(form(joined))

    video = Video.objects.get()
    assert (answer.status_code, answer.json()) == (200, {"completed": 1})
    assert video.state == VideoState.WAITING
    assert tasks_waiting() == [(str(video.job.pk),)]
    record = AccessRecord.objects.get(verb=Verb.UPLOAD_COMPLETED)
    assert (record.user, record.invitation) == (None, None)


def test_an_event_that_comes_twice_does_nothing_more(joined):
    first, second = post(seaweed(joined)), post(seaweed(joined))

    assert (first.json(), second.json()) == ({"completed": 1}, {"completed": 0})
    assert TranscodeJob.objects.count() == 1


def test_a_film_dropped_into_the_bucket_becomes_a_video(encounter, store):
    key = f"{encounter.reference}/DROPPED_1.MOV"
    store.client.put_object(Bucket="videos", Key=key, Body=b"a film")

    first, second = post(seaweed(key)), post(seaweed(key))

    video = Video.objects.get()
    assert (first.json(), second.json()) == ({"completed": 1}, {"completed": 0})
    assert (video.encounter, video.original_name, video.state) == (
        encounter,
        "DROPPED_1.MOV",
        VideoState.WAITING,
    )
    assert tasks_waiting() == [(str(video.job.pk),)]


@pytest.mark.parametrize("name", ["0123456789abcdef/DROPPED_1.MOV", "{}/dropped.pdf", "{}/DROPPED_1.web.mp4"])
def test_what_is_no_film_of_an_encounter_is_left_alone(encounter, store, name):
    key = name.format(encounter.reference)
    store.client.put_object(Bucket="videos", Key=key, Body=b"something")

    assert post(seaweed(key)).json() == {"completed": 0}
    assert not Video.objects.exists()


def test_what_we_made_ourselves_is_left_alone(encounter, store):
    key = f"{encounter.reference}/DROPPED_1.mp4"
    store.client.put_object(Bucket="videos", Key=key, Body=b"ours", Metadata={"portal-made": "1"})

    assert post(seaweed(key)).json() == {"completed": 0}


def test_a_film_that_is_not_there_is_not_adopted(encounter, store):
    assert post(seaweed(f"{encounter.reference}/DROPPED_1.MOV")).json() == {"completed": 0}
    assert not Video.objects.exists()


def test_an_event_is_not_believed_the_store_is(consenting_client):
    upload = announce(consenting_client, TWO_PARTS).json()["id"]
    send_parts(consenting_client, upload, TWO_PARTS, numbers={1})

    answer = post(seaweed(Video.objects.get().source_key))

    assert (answer.status_code, answer.json()) == (200, {"completed": 0})
    assert Video.objects.get().state == VideoState.UPLOADING


def test_an_hmac_over_time_and_body_is_taken_too(joined):
    assert post(*signed(s3(joined))).json() == {"completed": 1}


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": SECRET}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer é"}],
    ids=["none", "no scheme", "wrong", "not ASCII"],
)
def test_without_the_secret_nothing_happens(joined, headers):
    answer = post(seaweed(joined), headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "not_signed")
    assert Video.objects.get().state == VideoState.UPLOADING


def test_a_signature_must_fit_time_body_and_secret(joined):
    body, headers = signed(s3(joined))
    wrong = [
        signed(s3(joined), at=time.time() - 301),
        signed(s3(joined), at=time.time() + 400),
        signed(s3(joined), secret="another secret"),
        (body + " ", headers),
        (body, {**headers, "X-Portal-Timestamp": str(int(headers["X-Portal-Timestamp"]) + 1)}),
        (body, {**headers, "X-Portal-Timestamp": "now"}),
        (body, {"X-Portal-Timestamp": headers["X-Portal-Timestamp"]}),
        (body, {**BEARER, "X-Portal-Timestamp": headers["X-Portal-Timestamp"]}),
    ]

    assert [post(*attempt).status_code for attempt in wrong] == [403] * len(wrong)
    assert Video.objects.get().state == VideoState.UPLOADING


def test_without_a_secret_of_ours_there_is_no_such_address(joined, settings):
    settings.STORE_EVENTS_SECRET = ""

    assert post(seaweed(joined), {"Authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize(
    "event",
    [
        {"event_type": "delete", "key": "/buckets/videos/{key}"},
        {"event_type": "create", "key": "/buckets/others/{key}"},
        {"event_type": "create", "key": "/buckets/videos/.uploads/{key}"},
        {"detail": {"bucket": {"name": "others"}, "object": {"key": "{key}"}}},
        {"Event": "s3:TestEvent", "Bucket": "videos"},
        {},
    ],
    ids=["deleted", "another bucket", "a part", "another bucket of EventBridge", "S3's test", "nothing"],
)
def test_what_concerns_no_upload_of_ours_is_passed_over(joined, event):
    answer = post(json.dumps(event).replace("{key}", joined))

    assert (answer.status_code, answer.json()) == (200, {"completed": 0})
    assert Video.objects.get().state == VideoState.UPLOADING


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "7", '{"Records": [7]}', '{"detail": {}}', '{"event_type": "create"}']
)
def test_what_is_no_event_is_refused(body):
    answer = post(body)

    assert (answer.status_code, answer.json()["code"]) == (400, "no_event")


def test_with_a_dead_store_the_event_is_to_be_sent_again(joined, unreachable_store):
    assert post(seaweed(joined)).status_code == 503


def test_it_takes_posts_alone():
    assert Client().get("/uploads/arrived/").status_code == 405
