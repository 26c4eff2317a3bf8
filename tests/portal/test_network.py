"""What the demo's store shows to the network, and how."""

import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from django.conf import settings

from portal import seaweed
from transcoding.store import object_store


def test_the_store_listens_on_loopback_alone_and_reports_to_nobody(tmp_path):
    command = seaweed.arguments(tmp_path, port=8333, bucket="videos")

    assert "-ip.bind=127.0.0.1" in command
    assert "-master.telemetry=false" in command
    assert "-admin.ui=false" in command
    assert "-s3.port=8333" in command
    assert not [argument for argument in command if settings.S3_SECRET_KEY in argument]


def test_ports_are_free_and_differ(tmp_path):
    command = seaweed.arguments(tmp_path, port=8333, bucket="videos")

    ports = re.findall(r"port(?:\.grpc)?=(\d{4,5})", " ".join(command))
    assert len(ports) == len(set(ports)) == 6


def test_a_store_that_does_not_start_is_noticed(unreachable_store):
    with pytest.raises(seaweed.StoreDidNotStart):
        seaweed.wait_until_ready(object_store(), seconds=0)


@pytest.fixture
def relay(store):
    """The port of a relay to the store."""
    port = seaweed.free_port()
    target = ["127.0.0.1", str(settings.S3_PORT)]
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.relay", "127.0.0.1", str(port), *target], cwd=settings.BASE_DIR
    )
    deadline = time.monotonic() + 60
    while not _answers(port):
        assert time.monotonic() < deadline, "The relay did not start."
        time.sleep(0.05)
    yield port
    process.kill()
    process.wait()


def _answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_relay_passes_requests_and_answers_on(relay, store):
    store.put("relayed", b"x" * 200_000, "text/plain")
    url = store.public_client.generate_presigned_url("get_object", {"Bucket": store.bucket, "Key": "relayed"})
    request = urllib.request.Request(url.replace(f":{settings.S3_PORT}/", f":{relay}/"))
    request.add_header("Host", f"127.0.0.1:{settings.S3_PORT}")

    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.read() == b"x" * 200_000


def test_the_relay_lets_nobody_in_without_a_signature(relay, store):
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"http://127.0.0.1:{relay}/{store.bucket}/relayed", timeout=10)
    assert refusal.value.code in {403, 404}
    refusal.value.close()
