"""AWS's own tools, in the environment that `make setup-aws` makes."""

import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from portal.seaweed import free_port

FOLDER = Path(settings.BASE_DIR) / ".venv" / "aws"
TEMPLATE = Path(settings.BASE_DIR) / "deploy" / "aws" / "template.yaml"
ENVIRONMENT = {
    **{name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH", "LANG") if name in os.environ},
    "SAM_CLI_TELEMETRY": "0",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
}


def tool(name: str) -> str:
    """The path of one of them; skips without."""
    path = FOLDER / "bin" / name
    if not path.exists():
        pytest.skip("needs AWS's tools in an environment of their own: `make setup-aws`")
    return str(path)


def emulator() -> str:
    """AWS's Runtime Interface Emulator, which comes with the SAM command line."""
    tool("sam")
    (found,) = FOLDER.glob("lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64")
    found.chmod(0o755)
    return str(found)


@contextmanager
def moto_server(folder: Path) -> Iterator[str]:
    """The address of a moto server, which stands in for AWS's services."""
    port = free_port()
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [tool("moto_server"), "-H", "127.0.0.1", "-p", str(port)],
            env=ENVIRONMENT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/moto-api/", timeout=2).close()
                break
            except (OSError, urllib.error.URLError):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.2)
        yield address
    finally:
        process.kill()
        process.wait()
