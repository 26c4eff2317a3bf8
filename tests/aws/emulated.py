"""The transcode function as Lambda would run it: awslambdaric under AWS's own Runtime Interface Emulator."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from django.conf import settings

from portal.seaweed import free_port
from tests.aws import tools
from tests.leaks import log_file

PATH = "/2015-03-31/functions/function/invocations"
HANDLER = "transcoding.aws.transcode_handler.handler"


class Emulated:
    """A function in the emulator, which runs one invocation at a time."""

    def __init__(
        self,
        environment: dict[str, str],
        folder: Path,
        *,
        handler: str = HANDLER,
        seconds: int = 60,
        runtime: tuple[str, ...] = (),
    ) -> None:
        self.port, api_port = free_port(), free_port()
        self._log = folder / "emulator.log"
        python = tools.tool("python")
        path = f"{settings.BASE_DIR}:{_product_packages()}"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    tools.emulator(),
                    *("--runtime-interface-emulator-address", f"127.0.0.1:{self.port}"),
                    *("--runtime-api-address", f"127.0.0.1:{api_port}"),
                    *(runtime or (python, "-m", "awslambdaric")),
                    handler,
                ],
                env={
                    **{name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
                    "AWS_LAMBDA_FUNCTION_TIMEOUT": str(seconds),
                    "AWS_LAMBDA_FUNCTION_NAME": "transcode",
                    "AWS_REGION": "us-east-1",
                    "PYTHONPATH": path,
                    **environment,
                },
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self._process.pid, 9)
        self._process.wait()
        log_file(self._log)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def invoke(self, event: dict[str, Any] | bytes, seconds: float = 90) -> tuple[int, Any]:
        """(status, answer) of one invocation, waited for."""
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        deadline = time.monotonic() + seconds
        while True:
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}{PATH}", data=body)
            try:
                with urllib.request.urlopen(request, timeout=seconds) as answer:
                    return answer.status, _json(answer.read())
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, _json(error.read())
            except OSError:  # it has not opened its door yet
                assert time.monotonic() < deadline, self.log
                assert self._process.poll() is None, self.log
                time.sleep(0.1)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")


def _product_packages() -> str:
    """The packages that the function carries; boto3 and awslambdaric come with the tools."""
    (found,) = Path(settings.BASE_DIR).glob(".venv/lib/python3*/site-packages")
    return str(found)


def environment(work: Path, **more: str) -> dict[str, str]:
    """What the template gives the function, pointed at the store of the tests."""
    work.mkdir(exist_ok=True)
    return {
        "BUCKET": settings.S3_BUCKET,
        "S3_ENDPOINT": settings.S3_ENDPOINT,
        "AWS_ACCESS_KEY_ID": settings.S3_ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": settings.S3_SECRET_KEY,
        "WORK_DIR": str(work),
        **more,
    }
