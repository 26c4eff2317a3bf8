"""Text messages: one small interface, and who carries them. What a message says is not its business."""

import json
import logging
import secrets
import time
from typing import Any, Protocol

import boto3
import httpx
import phonenumbers
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.utils import timezone

from transcoding.aws import reports

logger = logging.getLogger(__name__)

SECONDS = 5
TRIES = 3
PAUSE = 0.5


PERHAPS_MOBILE = {
    phonenumbers.PhoneNumberType.MOBILE,
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    phonenumbers.PhoneNumberType.PERSONAL_NUMBER,
    phonenumbers.PhoneNumberType.UNKNOWN,
}
"""Of a range that was given out after the library's tables were made, they say `UNKNOWN`."""


class NotSent(Exception):
    """`code`: one of `message_models.FAILURES`."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Carrier(Protocol):
    """Whoever takes text messages for delivery."""

    def send(self, *, to: str, text: str) -> None:
        """`to` in E.164, such as `+447700900123`. Raises `NotSent`."""


def in_e164(number: str) -> str | None:
    """`07700 900123` as `+447700900123`; None: no number, or not one of a mobile phone."""
    try:
        parsed = phonenumbers.parse(number, settings.MOBILE_REGION)
    except phonenumbers.NumberParseException:
        return None
    is_whole = (
        phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE
    )
    if not is_whole or phonenumbers.number_type(parsed) not in PERHAPS_MOBILE:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def send(*, to: str, text: str) -> None:
    """Hand a message to the carrier that the settings name. Raises `NotSent`."""
    if settings.SMS_CARRIER == "none":
        raise NotSent("no_carrier")
    number = in_e164(to)
    if number is None:
        raise NotSent("bad_number")
    try:
        CARRIERS[settings.SMS_CARRIER]().send(to=number, text=text)
    except NotSent as error:
        logger.warning("text message not sent", extra={"code": error.code})
        raise


class Console:
    """For the demo. The console names the file that holds the message: a console's output becomes a log."""

    def send(self, *, to: str, text: str) -> None:
        folder = settings.VAR_DIR / "sms"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{timezone.now():%Y%m%d-%H%M%S-%f}-{secrets.token_hex(3)}.txt"
        path.write_text(f"To: {to}\n\n{text}\n")
        logger.info("text message written", extra={"file": str(path)})


class Sns:
    """Amazon SNS. Source: API Reference, "Publish": PhoneNumber, and the errors below."""

    CODES = {
        "InvalidParameter": "bad_number",
        "InvalidParameterValue": "bad_number",
        "OptedOut": "opted_out",
        "Throttled": "busy",
        "Throttling": "busy",
        "ThrottlingException": "busy",
        "InternalError": "unreachable",
        "ServiceUnavailable": "unreachable",
    }

    def send(self, *, to: str, text: str) -> None:
        attributes = {"AWS.SNS.SMS.SMSType": _string("Transactional")}
        if settings.SMS_SENDER_ID:
            attributes["AWS.SNS.SMS.SenderID"] = _string(settings.SMS_SENDER_ID)
        try:
            self._client().publish(PhoneNumber=to, Message=text, MessageAttributes=attributes)
        except ClientError as error:
            raise NotSent(self.CODES.get(error.response["Error"]["Code"], "refused")) from error
        except BotoCoreError as error:
            raise NotSent("unreachable") from error

    def _client(self) -> Any:
        config = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": TRIES})
        return boto3.client(
            "sns", region_name=settings.SMS_REGION, endpoint_url=settings.SMS_ENDPOINT, config=config
        )


def _string(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


class Webhook:
    """A gateway of the clinic's: one signed POST, `{"id", "to", "text"}`, answered by any 2xx.

    The signature is that of the conversions' reports (`transcoding.aws.reports`). A try whose answer was
    lost is repeated under the same `id`, by which the gateway can tell it.
    """

    def send(self, *, to: str, text: str) -> None:
        body = json.dumps({"id": secrets.token_hex(16), "to": to, "text": text}).encode()
        code = "unreachable"
        with httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client:
            for number in range(TRIES):
                time.sleep(PAUSE * number)
                code = self._tried(client, body)
                if code not in {"busy", "unreachable"}:
                    break
        if code:
            raise NotSent(code)

    def _tried(self, client: httpx.Client, body: bytes) -> str:
        """Why it failed; empty: taken."""
        signature = reports.signed(body, key="messages", secret=settings.SMS_WEBHOOK_SECRET)
        headers = {"Content-Type": "application/json", **signature}
        try:
            status = client.post(settings.SMS_WEBHOOK_URL, content=body, headers=headers).status_code
        except httpx.HTTPError:
            return "unreachable"
        if httpx.codes.is_success(status):
            return ""
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return "busy"
        return "unreachable" if httpx.codes.is_server_error(status) else "refused"


CARRIERS: dict[str, type[Carrier]] = {"console": Console, "sns": Sns, "webhook": Webhook}
