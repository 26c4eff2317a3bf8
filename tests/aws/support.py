"""Events as AWS sends them, what Lambda says of an invocation, and what the servers here share."""

import json
import threading
import time
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import quote_plus

KEY = f"e5fa44f2b31c0d99/{'7448d879' * 5}.mov"
BUCKET = "videos"
SECRET = "a secret of at least thirty-two characters"


class Serving:
    """Serves in a thread of its own as long as its block lasts."""

    _server: ThreadingHTTPServer

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class FakeContext:
    """The names are AWS's."""

    def __init__(self, seconds: float = 900.0) -> None:
        self.aws_request_id = "5f0c8a1e-0000-4000-8000-000000000001"
        self.invoked_function_arn = "arn:aws:lambda:eu-west-1:111122223333:function:transcode"
        self._end = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int((self._end - time.monotonic()) * 1000)


def native(*keys, bucket=BUCKET, event="ObjectCreated:CompleteMultipartUpload"):
    """As S3 itself writes it: the key URL-encoded, a space as a plus."""
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": event,
                "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/"), "size": 1}},
            }
            for key in keys
        ]
    }


def bridged(key, bucket=BUCKET):
    """As EventBridge delivers it: the key as it is."""
    return {
        "version": "0",
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1, "etag": "e"}},
    }


def queued(*bodies):
    """As Lambda gets messages of an SQS queue: `message-1`, `message-2`, …"""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "eventSource": "aws:sqs",
                "body": body if isinstance(body, str) else json.dumps(body),
            }
            for number, body in enumerate(bodies, start=1)
        ]
    }
