"""What wakes the function is understood in every form in which it comes."""

import pytest

from tests.aws.support import BUCKET, KEY, bridged, native, queued
from transcoding.aws import events
from transcoding.aws.events import Arrival, NotUnderstood
from transcoding.engine.contracts import TranscodeRequest

REQUEST = TranscodeRequest(job="job-1", attempt=2, source_key=KEY)
ARRIVAL = Arrival(bucket=BUCKET, key=KEY)


def tasks(event):
    return [task for message in events.messages(event) for task in message.tasks()]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (native(KEY), [ARRIVAL]),
        (bridged(KEY), [ARRIVAL]),
        (queued(native(KEY)), [ARRIVAL]),
        (queued(bridged(KEY)), [ARRIVAL]),
        (queued(REQUEST.to_json()), [REQUEST]),
        (
            queued(
                {"requestContext": {}, "requestPayload": {"job": "job-1", "attempt": 2, "source_key": KEY}}
            ),
            [REQUEST],
        ),
        ({"job": "job-1", "attempt": 2, "source_key": KEY}, [REQUEST]),
        (
            native(KEY, "e5fa44f2b31c0d99/b.mov"),
            [ARRIVAL, Arrival(bucket=BUCKET, key="e5fa44f2b31c0d99/b.mov")],
        ),
        (queued(bridged(KEY), bridged(KEY)), [ARRIVAL, ARRIVAL]),
    ],
    ids=[
        "s3",
        "eventbridge",
        "s3 in sqs",
        "eventbridge in sqs",
        "request in sqs",
        "dead letter sent back",
        "request",
        "two",
        "two in sqs",
    ],
)
def test_every_form_is_understood(event, expected):
    assert tasks(event) == expected


def test_s3_encodes_keys_and_eventbridge_does_not():
    key = "e5fa44f2b31c0d99/IMG 0001+1 Ünit%20.MOV"
    assert tasks(native(key)) == tasks(bridged(key)) == [Arrival(bucket=BUCKET, key=key)]


@pytest.mark.parametrize("wrap", [lambda event: event, queued])
def test_the_test_event_of_a_new_notification_asks_for_nothing(wrap):
    assert tasks(wrap({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET})) == []


@pytest.mark.parametrize(
    "event", [native(KEY, event="ObjectRemoved:Delete"), {**bridged(KEY), "detail-type": "Object Deleted"}]
)
def test_what_went_asks_for_nothing(event):
    assert tasks(event) == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"hello": "world"},
        queued("no JSON"),
        queued("[]"),
        queued({"Records": [{"eventSource": "aws:sns"}]}),
        {"source": "aws.s3", "detail-type": "Object Created", "detail": {}},
        {"source_key": KEY, "unknown": 1},
    ],
)
def test_what_is_not_understood_is_said_to_be(event):
    with pytest.raises(NotUnderstood):
        tasks(event)


def test_messages_of_a_queue_keep_their_names_and_records_of_s3_stand_alone():
    assert [message.id for message in events.messages(queued({}, {}))] == ["message-1", "message-2"]
    assert len(events.messages(native("a", "b"))) == 2
    assert events.is_from_queue(queued({}))
    assert not events.is_from_queue(native(KEY))
