"""Who carries text messages: a webhook of the clinic's, and Amazon SNS."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from encounters import sms
from portal.seaweed import free_port
from tests.aws.support import Serving
from transcoding.aws import reports

SECRET = "s" * 40
NUMBER, TEXT = "+447700900123", "Agorwch https://videos.example/u/abc/"


class Gateway(Serving):
    """A clinic's own gateway, which answers with these statuses in turn; the last one for good."""

    def __init__(self, *statuses):
        self.statuses = list(statuses)
        self.asked = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                gateway.asked.append((dict(self.headers), body))
                status = gateway.statuses.pop(0) if len(gateway.statuses) > 1 else gateway.statuses[0]
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self):
        return f"http://127.0.0.1:{self._server.server_port}/messages"


@pytest.fixture
def gateway(settings, monkeypatch):
    """`gateway(200)`: a webhook that answers so; it is not waited for between two tries."""
    settings.SMS_CARRIER = "webhook"
    settings.SMS_WEBHOOK_SECRET = SECRET
    monkeypatch.setattr(sms, "PAUSE", 0)
    opened = []

    def open_gateway(*statuses):
        serving = Gateway(*statuses).__enter__()
        opened.append(serving)
        settings.SMS_WEBHOOK_URL = serving.address
        return serving

    yield open_gateway
    for serving in opened:
        serving.__exit__(None, None, None)


def test_the_webhook_gets_one_signed_message(gateway):
    serving = gateway(202)

    sms.send(to=NUMBER, text=TEXT)

    ((headers, body),) = serving.asked
    said = json.loads(body)
    assert (said["to"], said["text"]) == (NUMBER, TEXT)
    assert len(said["id"]) == 32
    assert reports.verify(headers, body, {"messages": SECRET})
    with pytest.raises(reports.SignatureRefused):
        reports.verify(headers, body + b" ", {"messages": SECRET})


@pytest.mark.parametrize("trouble", [500, 503, 429])
def test_a_passing_trouble_is_tried_again_under_the_same_id(gateway, trouble):
    serving = gateway(trouble, trouble, 200)

    sms.send(to=NUMBER, text=TEXT)

    assert len(serving.asked) == 3
    assert len({json.loads(body)["id"] for _, body in serving.asked}) == 1
    assert len({headers[reports.NONCE] for headers, _ in serving.asked}) == 3


@pytest.mark.parametrize(
    ("status", "code", "tries"),
    [
        (400, "refused", 1),
        (401, "refused", 1),
        (302, "refused", 1),
        (429, "busy", 3),
        (500, "unreachable", 3),
    ],
)
def test_what_lasts_is_told(gateway, status, code, tries, log_lines):
    serving = gateway(status)

    with pytest.raises(sms.NotSent) as failure:
        sms.send(to=NUMBER, text=TEXT)

    assert failure.value.code == code
    assert len(serving.asked) == tries
    assert code in log_lines()
    for private in ("7700", "/u/abc", SECRET):
        assert private not in log_lines()


def test_a_webhook_that_is_not_there_is_told(gateway, settings):
    gateway(200)
    settings.SMS_WEBHOOK_URL = f"http://127.0.0.1:{free_port()}/"

    with pytest.raises(sms.NotSent, match="unreachable"):
        sms.send(to=NUMBER, text=TEXT)


# Amazon SNS, as botocore's own model of it answers


@pytest.fixture
def sns(settings, monkeypatch):
    settings.SMS_CARRIER = "sns"
    client = boto3.client("sns", region_name="eu-west-2", aws_access_key_id="a", aws_secret_access_key="b")
    monkeypatch.setattr(sms.Sns, "_client", lambda self: client)
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize("sender", ["", "Clinic"])
def test_sns_gets_the_number_the_text_and_that_it_matters(sns, settings, sender):
    settings.SMS_SENDER_ID = sender
    attributes = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}}
    if sender:
        attributes["AWS.SNS.SMS.SenderID"] = {"DataType": "String", "StringValue": sender}
    expected = {"PhoneNumber": NUMBER, "Message": TEXT, "MessageAttributes": attributes}
    sns.add_response("publish", {"MessageId": "1"}, expected)

    sms.send(to=NUMBER, text=TEXT)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("OptedOut", "opted_out"),
        ("InvalidParameter", "bad_number"),
        ("Throttled", "busy"),
        ("InternalError", "unreachable"),
        ("AuthorizationError", "refused"),
        ("SomethingNew", "refused"),
    ],
)
def test_each_refusal_of_sns_has_its_words(sns, theirs, ours):
    sns.add_client_error("publish", theirs)

    with pytest.raises(sms.NotSent, match=ours):
        sms.send(to=NUMBER, text=TEXT)


def test_an_sns_that_is_not_there_is_told(settings, monkeypatch):
    settings.SMS_CARRIER = "sns"
    settings.SMS_ENDPOINT = f"http://127.0.0.1:{free_port()}"
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")

    with pytest.raises(sms.NotSent, match="unreachable") as failure:
        sms.send(to=NUMBER, text=TEXT)

    assert isinstance(failure.value.__cause__, EndpointConnectionError)
