"""What may wake the function: S3's own notifications, EventBridge's, either inside SQS, a request.

Sources: Amazon S3 User Guide, "Event message structure" and "Using EventBridge"; AWS Lambda Developer
Guide, "Using Lambda with Amazon SQS".
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from transcoding.engine.contracts import TranscodeRequest


class NotUnderstood(ValueError):
    """An event of a kind that we do not know. Ends in the dead-letter queue, where somebody looks."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """An object that appeared in a bucket."""

    bucket: str
    key: str
    """As the store knows it, decoded."""


Task = Arrival | TranscodeRequest


@dataclass(frozen=True, kw_only=True)
class Message:
    """What belongs together: all of it is done, or all of it comes again."""

    content: Any
    id: str = ""
    """SQS's name for it; empty for what came by itself."""

    def tasks(self) -> list[Task]:
        """Raises `NotUnderstood`."""
        return list(_tasks(self.content))


def messages(event: dict[str, Any]) -> list[Message]:
    """One for each SQS message, and one for each record of S3's; read later, one by one."""
    records = event.get("Records")
    if not isinstance(records, list):
        return [Message(content=event)]
    return [
        Message(content=record.get("body", ""), id=record["messageId"])
        if record.get("eventSource") == "aws:sqs"
        else Message(content={"Records": [record]})
        for record in records
    ]


def is_from_queue(event: dict[str, Any]) -> bool:
    return any(message.id for message in messages(event))


def _tasks(content: Any) -> Iterator[Task]:
    if isinstance(content, str):
        content = _json(content)
    if not isinstance(content, dict):
        raise NotUnderstood("An event is no JSON object.")
    if content.get("Event") == "s3:TestEvent":
        return
    try:
        yield from _read(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise NotUnderstood(f"An event lacks what its kind has ({type(error).__name__}).") from error


def _read(content: dict[str, Any]) -> Iterator[Task]:
    if content.get("source") == "aws.s3":
        if content["detail-type"] == "Object Created":
            detail = content["detail"]
            yield Arrival(bucket=detail["bucket"]["name"], key=detail["object"]["key"])
    elif "source_key" in content:
        yield TranscodeRequest.from_dict(content)
    elif "Records" in content:
        yield from _native(content["Records"])
    elif "requestPayload" in content:
        # A call that failed, as Lambda puts it among the dead letters: somebody has sent it back.
        yield from _tasks(content["requestPayload"])
    else:
        raise NotUnderstood("An event of an unknown kind.")


def _native(records: list[dict[str, Any]]) -> Iterator[Arrival]:
    for record in records:
        if record.get("eventSource") != "aws:s3":
            raise NotUnderstood("A record of an unknown source.")
        if record["eventName"].startswith("ObjectCreated:"):
            found = record["s3"]
            yield Arrival(bucket=found["bucket"]["name"], key=unquote_plus(found["object"]["key"]))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise NotUnderstood("A message is no JSON.") from error
