"""SeaweedFS, the S3 server of the demo and the tests: one program from a wheel, on loopback only."""

import socket
import sys
import time
from pathlib import Path

from transcoding.engine.store import S3Store, StoreError

START_SECONDS = 120


class StoreDidNotStart(Exception):
    """The object store did not answer in time."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _free_port_with_twin() -> int:
    """A free port whose twin 10,000 above, where SeaweedFS puts gRPC, is free too."""
    while True:
        port = free_port()
        if port + 10_000 > 65_535:  # noqa: PLR2004 - the last port there is
            continue
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port + 10_000)):
                return port


NOTIFICATIONS = """\
[notification.webhook]
enabled = true
endpoint = "{endpoint}"
bearer_token = "{secret}"
timeout_seconds = 10
max_retries = 5
backoff_seconds = 3
max_backoff_seconds = 30
workers = 1
buffer_size = 1000
event_types = ["create"]
path_prefixes = ["/buckets/{bucket}"]
"""
"""SeaweedFS's own form of S3's bucket notifications, which it does not have."""


def tell_of_arrivals(folder: Path, *, bucket: str, endpoint: str, secret: str) -> None:
    """Have a server that is started in `folder` post to `endpoint` what arrives in the bucket."""
    path = folder / "notification.toml"
    path.touch(mode=0o600)
    path.write_text(NOTIFICATIONS.format(endpoint=endpoint, secret=secret, bucket=bucket))


def arguments(folder: Path, *, port: int, bucket: str) -> list[str]:
    """The command line of a server that keeps all its data in `folder`.

    Its keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment. What the portal
    does not need is off, reports to its makers first of all.
    """
    options: dict[str, object] = {
        "dir": folder,
        "bucket": bucket,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "s3.port": port,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.autoCreateBucket": "false",
        "master.port": _free_port_with_twin(),
        "volume.port": _free_port_with_twin(),
        "filer.port": _free_port_with_twin(),
        "admin.port": _free_port_with_twin(),
        "s3.port.grpc": free_port(),
        "webdav": "false",
        "admin.ui": "false",
        "master.telemetry": "false",
    }
    weed = Path(sys.executable).with_name("weed")
    return [str(weed), "mini", *(f"-{name}={value}" for name, value in options.items())]


def wait_until_ready(store: S3Store, seconds: float = START_SECONDS) -> None:
    """Return once the bucket is there. Raises `StoreDidNotStart`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            store.create_bucket()
        except StoreError as error:
            if time.monotonic() > deadline:
                raise StoreDidNotStart(error.code) from error
            time.sleep(0.2)
        else:
            return
