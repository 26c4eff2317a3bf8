"""The demo as a newcomer starts it, in a folder of its own, and Chromium to use it with."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from portal.seaweed import free_port
from tests.leaks import left_by_demo

START_SECONDS = 300
expect.set_options(timeout=20_000)  # a busy machine is no failure
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1440, "height": 900}


@dataclass
class Demo:
    """A running demo."""

    environment: dict[str, str]
    access: dict[str, Any]
    process: subprocess.Popen[bytes]

    @property
    def base_url(self) -> str:
        return self.access["base_url"]

    def manage(self, code: str) -> str:
        """Run Python in the demo's own environment, as `manage.py shell` does; gives what it prints."""
        command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", code]
        done = subprocess.run(
            command, env=self.environment, cwd=settings.BASE_DIR, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def bucket(self) -> Any:
        s3 = self.access["s3"]
        client = boto3.resource(
            "s3",
            endpoint_url=s3["endpoint"],
            aws_access_key_id=s3["access_key"],
            aws_secret_access_key=s3["secret_key"],
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        return client.Bucket(s3["bucket"])


@pytest.fixture(scope="package")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    var = tmp_path_factory.mktemp("demo")
    kept = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {
        "VAR_DIR": str(var),
        "PORT": str(free_port()),
        "S3_PORT": str(free_port()),
        "PYTHONWARNINGS": "default",
    }
    with running(var, environment) as started:
        yield started


@contextmanager
def running(var: Path, environment: dict[str, str]) -> Iterator[Demo]:
    """The demo in a folder of its own, until the end of the block."""
    with (var / "output.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "demo"],
            env=environment,
            cwd=settings.BASE_DIR,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    keys: list[str] = []
    try:
        started = Demo(environment, _access(var, process), process)
        yield started
        keys = [entry.key for entry in started.bucket().objects.all()]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        left_by_demo(var, keys)


def _access(var: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while not (var / "demo.json").exists():
        assert process.poll() is None, (var / "output.log").read_text()
        assert time.monotonic() < deadline, (var / "output.log").read_text()
        time.sleep(0.2)
    return json.loads((var / "demo.json").read_text())


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("needs Chromium on the PATH: `apt-get install chromium`, or your system's own")
    # Playwright's loop runs in this thread, beside the queries of tests that have a database of their own.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session")
def ffprobe() -> str:
    """An ffprobe that is not the product's own, as an independent judge."""
    found = shutil.which("ffprobe")
    if not found:
        pytest.skip("needs ffprobe on the PATH as an independent judge: `apt-get install ffmpeg`")
    return found


class Console:
    """What a page complained of. A page that complains has failed, whatever it shows."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def watch(self, page: Page) -> Page:
        page.on(
            "console", lambda message: self.errors.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page


@pytest.fixture
def console() -> Iterator[Console]:
    console = Console()
    yield console
    assert console.errors == []


def open_context(chromium: Browser, viewport: dict[str, int], **options: Any) -> BrowserContext:
    context = chromium.new_context(viewport=viewport, locale="en-GB", **options)
    context.set_default_timeout(60_000)
    return context


@pytest.fixture
def phone(chromium: Browser, console: Console) -> Iterator[Page]:
    context = open_context(chromium, PHONE, is_mobile=True, has_touch=True)
    yield console.watch(context.new_page())
    context.close()


@pytest.fixture
def desk(chromium: Browser, console: Console) -> Iterator[Page]:
    context = open_context(chromium, DESKTOP)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield console.watch(context.new_page())
    context.close()


def sign_in(page: Page, demo: Demo, who: str) -> None:
    page.goto(demo.base_url)
    page.get_by_label("E-mail address").fill(demo.access[who]["email"])
    page.get_by_label("Password", exact=True).fill(demo.access[who]["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def open_encounter(page: Page, demo: Demo, record_number: str) -> str:
    """As the clinician: open an encounter, make a link, and copy it."""
    page.goto(f"{demo.base_url}/encounters/new/")
    page.get_by_label("Record number").fill(record_number)
    page.get_by_label("Date of birth").fill("1949-02-08")
    page.get_by_label("Given name").fill("Wilhelmina")
    page.get_by_label("Family name").fill(f"Thistlewood-{record_number}")
    page.get_by_label("What should the patient film?").fill("Please film how you stand up from a chair.")
    page.get_by_role("button", name="Open encounter").click()
    page.get_by_role("button", name="Show link and QR code").click()
    expect(page.get_by_role("img", name="QR code of the upload link")).to_be_visible()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    return page.evaluate("navigator.clipboard.readText()")


def arrive(page: Page, link: str) -> None:
    """As the patient: date of birth, consent, description."""
    page.goto(link)
    page.get_by_label("Day").fill("8")
    page.get_by_label("Month").fill("2")
    page.get_by_label("Year").fill("1949")
    page.get_by_role("button", name="Continue").click()
    for box in page.get_by_role("checkbox").all():
        assert not box.is_checked()
    page.get_by_role("checkbox", name="My clinic may watch my videos").check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("In your own words").fill("My knees give way.")
    page.get_by_role("button", name="Continue").click()


def choose(page: Page, *files: Path) -> None:
    page.locator("#choose").set_input_files([str(file) for file in files])


def queue_item(page: Page, name: str) -> Any:
    return page.locator(".queue__item", has_text=name)
