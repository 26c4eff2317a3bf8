"""The whole chain: a film in the bucket, EventBridge, SQS, the emulated function, the portal, the player.

Everything between the bucket and the queue is moto, which stands in for AWS's services.
"""

import json
import time
import urllib.error
import urllib.request

import boto3
import pytest
from django.conf import settings as django_settings
from django.core.files.storage import storages
from playwright.sync_api import expect

from encounters.models import Video
from portal.storage import PlaybackStorage
from tests.aws import tools
from tests.aws.emulated import Emulated
from tests.aws.support import SECRET
from transcoding.models import Status, TranscodeAttempt, TranscodeJob
from transcoding.store import object_store

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.django_db(transaction=True)]
BUCKET = "videos"
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """The address of a moto server."""
    with tools.moto_server(tmp_path_factory.mktemp("moto")) as address:
        yield address


class Cloud:
    """What the template makes, as far as moto can: bucket, rule, queue and dead letters."""

    def __init__(self, address, function):
        self.s3, self.sqs, self.events = (
            boto3.client(name, endpoint_url=address, **KEYS) for name in ("s3", "sqs", "events")
        )
        self.function = function
        self.delivered = []
        self.s3.create_bucket(Bucket=BUCKET)
        notify = {"EventBridgeConfiguration": {}}
        self.s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=notify)
        self.dead_letters = self.sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
        redrive = {"deadLetterTargetArn": self._arn(self.dead_letters), "maxReceiveCount": 2}
        self.queue = self.sqs.create_queue(
            QueueName="arrivals",
            Attributes={"RedrivePolicy": json.dumps(redrive), "VisibilityTimeout": "1"},
        )["QueueUrl"]
        suffixes = [{"suffix": {"equals-ignore-case": f".{kind}"}} for kind in ("mov", "mp4")]
        pattern = {
            "source": ["aws.s3"],
            "detail-type": ["Object Created"],
            "detail": {"object": {"key": suffixes}},
        }
        self.events.put_rule(Name="arrivals", EventPattern=json.dumps(pattern))
        self.events.put_targets(Rule="arrivals", Targets=[{"Id": "queue", "Arn": self._arn(self.queue)}])

    def _arn(self, queue):
        attributes = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        return attributes["Attributes"]["QueueArn"]

    def deliver(self):
        """As Lambda's event source mapping does: one message at a time, those that failed stay."""
        while messages := self.sqs.receive_message(QueueUrl=self.queue, WaitTimeSeconds=1).get(
            "Messages", []
        ):
            for message in messages:
                self._deliver(message)

    def _deliver(self, message):
        record = {"messageId": message["MessageId"], "eventSource": "aws:sqs", "body": message["Body"]}
        self.delivered.append(message["Body"])
        status, answer = self.function.invoke({"Records": [record]})
        assert status == 200
        if answer == {"batchItemFailures": []}:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def dead(self):
        return self.sqs.receive_message(QueueUrl=self.dead_letters).get("Messages", [])

    def keys(self):
        return {entry["Key"] for entry in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


@pytest.fixture
def cloud(moto, live_server, settings, tmp_path, monkeypatch):
    settings.TRANSCODE_RUNNER, settings.LAMBDA_TRIGGER, settings.LAMBDA_FUNCTION = (
        "lambda",
        "event",
        "transcode",
    )
    settings.CALLBACK_KEYS = {"transcode": SECRET}
    settings.S3_ENDPOINT = settings.S3_PUBLIC_ENDPOINT = moto
    settings.S3_ACCESS_KEY = settings.S3_SECRET_KEY = "testing"
    policy = django_settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    widened = {name: [*policy[name], moto] for name in ("img-src", "media-src")}
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {**policy, **widened}}
    monkeypatch.setattr(PlaybackStorage, "endpoint", moto)
    object_store.cache_clear()
    storages._storages.pop("playback", None)
    work = tmp_path / "tmp"
    work.mkdir()
    environment = {
        "BUCKET": BUCKET,
        "S3_ENDPOINT": moto,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "WORK_DIR": str(work),
        "PORTAL_URL": live_server.url,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": moto,
    }
    reset = urllib.request.Request(f"{moto}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset, timeout=10).close()
    secrets = boto3.client("secretsmanager", endpoint_url=moto, **KEYS)
    environment["CALLBACK_SECRET_ARN"] = secrets.create_secret(Name="callback", SecretString=SECRET)["ARN"]
    with Emulated(environment, tmp_path) as function:
        yield Cloud(moto, function)
    object_store.cache_clear()
    storages._storages.pop("playback", None)


def test_a_film_dropped_into_the_bucket_plays_in_the_browser(
    cloud, encounter, alice, live_server, desk, short_clip
):
    key = f"{encounter.reference}/DROPPED_1.MOV"
    cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=short_clip.read_bytes())

    cloud.deliver()

    video = Video.objects.get()
    assert (video.original_name, video.job.status) == ("DROPPED_1.MOV", Status.SUCCEEDED)
    made = cloud.s3.head_object(Bucket=BUCKET, Key=f"{encounter.reference}/DROPPED_1.web.mp4")
    assert (made["ContentType"], made["ServerSideEncryption"]) == ("video/mp4", "AES256")
    assert cloud.dead() == []

    desk.goto(f"{live_server.url}/accounts/login/")
    desk.get_by_label("E-mail address").fill(alice.email)
    desk.get_by_label("Password", exact=True).fill("a long password")
    desk.get_by_role("button", name="Sign in").click()
    expect(desk.get_by_role("button", name="Sign out")).to_be_visible()
    desk.goto(f"{live_server.url}/videos/{video.pk}/")
    player = desk.locator("video")
    expect(player).to_be_visible()
    size = player.evaluate(
        """async (video) => {
            const loaded = new Promise((resolve) => video.addEventListener("loadedmetadata", resolve));
            video.preload = "metadata";
            if (video.readyState < 1) await loaded;
            return [video.videoWidth, video.videoHeight];
        }"""
    )
    assert size == [160, 120]


def test_an_event_that_comes_twice_is_one_conversion(cloud, encounter, short_clip):
    cloud.s3.put_object(
        Bucket=BUCKET, Key=f"{encounter.reference}/DROPPED_1.MOV", Body=short_clip.read_bytes()
    )
    cloud.deliver()
    for body in list(cloud.delivered):
        cloud.sqs.send_message(QueueUrl=cloud.queue, MessageBody=body)

    cloud.deliver()

    assert len(cloud.delivered) > 1
    assert TranscodeAttempt.objects.count() == 1
    assert cloud.function.log.count('"Outcome": "succeeded"') == 1
    assert cloud.dead() == []


def test_a_broken_film_is_told_and_leaves_no_dead_letter(cloud, encounter):
    cloud.s3.put_object(Bucket=BUCKET, Key=f"{encounter.reference}/DROPPED_1.MOV", Body=b"Dear doctor")

    cloud.deliver()

    job = TranscodeJob.objects.get()
    assert (job.status, job.failure_code) == (Status.FAILED, "not_a_video")
    assert "not a video" in job.explanation
    assert cloud.dead() == []


def test_what_no_try_can_cure_ends_in_the_dead_letters(cloud):
    cloud.sqs.send_message(QueueUrl=cloud.queue, MessageBody="no JSON")
    for _ in range(3):
        cloud.deliver()
        time.sleep(1.1)
    cloud.deliver()

    assert [message["Body"] for message in cloud.dead()] == ["no JSON"]
