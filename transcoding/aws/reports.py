"""What the function tells the portal, and how the portal knows that it was the function.

Each report is one signed POST. The signature is an HMAC-SHA256 over time stamp, nonce and body, so that
none of them can be changed; the time stamp ends its life, the nonce lets it count once.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from transcoding.engine.contracts import Jsonable, TranscodeRequest, TranscodeResult

SOURCE_ETAG = "portal-source-etag"
"""Metadata of what the function makes: which version of the source it was made from."""
PATH = "/transcoding/callback/"
WINDOW = 300
"""Seconds for which a signature holds, to either side: clocks differ."""
KEY, TIMESTAMP, NONCE, SIGNATURE = (
    "X-Portal-Key",
    "X-Portal-Timestamp",
    "X-Portal-Nonce",
    "X-Portal-Signature",
)
_NONCE_LENGTH = 32


class News(StrEnum):
    BEGIN = "begin"
    """May I? Asked before any work."""
    WORKING = "working"
    RESULT = "result"
    FAULT = "fault"
    """Another try could cure it."""


@dataclass(frozen=True, kw_only=True)
class Report(Jsonable):
    """One message about one source. Names no patient."""

    news: News
    source_key: str
    source_etag: str
    source_size: int
    job: str = ""
    """Empty where an event began it and the portal has not said whose it is."""
    attempt: int = 0
    host: str = ""
    """Where it runs: for the admin."""
    progress: float = 0.0
    result: TranscodeResult | None = None
    detail: str = ""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        result = TranscodeResult.from_dict(values["result"]) if values.get("result") else None
        return cls(**{**values, "news": News(values["news"]), "result": result})


@dataclass(frozen=True, kw_only=True)
class Answer(Jsonable):
    """What the portal says to a report."""

    accepted: bool
    """False: the work is not, or no longer, this function's. Stop, and publish nothing."""
    request: TranscodeRequest | None = None
    """What to do, where the report began something."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        request = TranscodeRequest.from_dict(values["request"]) if values.get("request") else None
        return cls(accepted=bool(values["accepted"]), request=request)


class SignatureRefused(Exception):
    """`reason`: for the log; whoever sent it is told nothing."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def signed(body: bytes, *, key: str, secret: str) -> dict[str, str]:
    """The headers that make this body a report, for the next minutes and once."""
    timestamp, nonce = str(int(time.time())), secrets.token_hex(_NONCE_LENGTH // 2)
    return {
        KEY: key,
        TIMESTAMP: timestamp,
        NONCE: nonce,
        SIGNATURE: _signature(secret, timestamp, nonce, body),
    }


def verify(headers: Mapping[str, str], body: bytes, keys: Mapping[str, str]) -> str:
    """The nonce, for the caller to take only once. `keys`: secret by name. Raises `SignatureRefused`."""
    timestamp, nonce = headers.get(TIMESTAMP, ""), headers.get(NONCE, "")
    secret = keys.get(headers.get(KEY, ""))
    if not secret:
        raise SignatureRefused("unknown key")
    if not hmac.compare_digest(
        _signature(secret, timestamp, nonce, body).encode(), headers.get(SIGNATURE, "").encode()
    ):
        raise SignatureRefused("wrong signature")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > WINDOW:
        raise SignatureRefused("old time stamp")
    if len(nonce) != _NONCE_LENGTH:
        raise SignatureRefused("no nonce")
    return nonce


def _signature(secret: str, timestamp: str, nonce: str, body: bytes) -> str:
    message = b".".join((timestamp.encode(), nonce.encode(), body))
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
