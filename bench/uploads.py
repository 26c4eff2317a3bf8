"""Our page in Chromium against `aws s3 cp`: the same file to the same store, until it is there."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from django.conf import settings
from playwright.sync_api import Page, sync_playwright

from bench import stack
from bench.environment import LINE
from bench.support import table
from transcoding.store import object_store

MB = 1_000_000
HEAD = b"\0\0\0\x14ftypqt  \0\0\0\0qt  "
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ALLOWED = 120_000
PAGE, AWS, AWS_SHA256 = "our page in Chromium", "aws s3 cp", "aws s3 cp with SHA-256"


def source(folder: Path, size: int) -> Path:
    path = folder / "IMG_0001.MOV"
    with path.open("wb") as file:
        file.write(HEAD)
        for _ in range(size // MB):
            file.write(os.urandom(MB))
    return path


def change(path: Path) -> None:
    """Another video of the same size: one that is there already would not be sent at all."""
    with path.open("r+b") as file:
        file.seek(len(HEAD))
        file.write(os.urandom(32))
    path.read_bytes()  # warm for both


def empty() -> None:
    for key in list(object_store().keys()):
        object_store().delete(key)


@contextmanager
def our_page() -> Iterator[Page]:
    """A patient's page for sending, in Chromium."""
    (link,) = stack.links(1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(link)
        born = stack.BIRTH_DATE
        for label, value in (("Day", born.day), ("Month", born.month), ("Year", born.year)):
            page.get_by_label(label).fill(str(value))
        page.get_by_role("button", name="Continue").click()
        yield page
        browser.close()


def send(page: Page, path: Path) -> float:
    page.goto(f"{settings.BASE_URL}/send/videos/")
    sent = page.locator(".queue__item--done", has=page.locator("[data-action]"))
    started = time.perf_counter()
    page.locator("#choose").set_input_files(str(path))
    sent.wait_for(timeout=ALLOWED)
    return time.perf_counter() - started


def copy(aws: str, path: Path, *more: str) -> float:
    keys = {"AWS_ACCESS_KEY_ID": settings.S3_ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": settings.S3_SECRET_KEY}
    where = [
        "--endpoint-url",
        str(settings.S3_PUBLIC_ENDPOINT),
        "--region",
        settings.S3_REGION,
        "--sse",
        "AES256",
    ]
    command = [
        aws,
        "s3",
        "cp",
        "--only-show-errors",
        "--sse",
        "AES256",
        str(path),
        f"s3://{settings.S3_BUCKET}/bench/x.mov",
    ]
    started = time.perf_counter()
    subprocess.run([*command, *where, *more], env={**os.environ, **keys}, check=True)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--aws", default=shutil.which("aws"), help="the AWS command line, 1 or 2")
    options = parser.parse_args()
    if not options.aws:
        sys.exit("`aws` is not there. A way: python -m venv x && x/bin/pip install awscli; --aws x/bin/aws")
    portal = stack.Stack()
    portal.start()
    seconds: dict[str, list[float]] = {PAGE: [], AWS: [], AWS_SHA256: []}
    with tempfile.TemporaryDirectory() as name, our_page() as page:
        path = source(Path(name), options.megabytes * MB)
        race = {
            PAGE: lambda: send(page, path),
            AWS: lambda: copy(options.aws, path),
            AWS_SHA256: lambda: copy(options.aws, path, "--checksum-algorithm", "SHA256"),
        }
        for _ in range(options.runs):
            for who, run in race.items():
                change(path)
                seconds[who].append(run())
                empty()
    portal.stop()
    line = f"over a line of {LINE:.0f} Mbit/s" if LINE else "on the same machine"
    print(f"\n{options.megabytes} MB to SeaweedFS {line}, {options.runs} runs in turn\n")
    table(
        [
            {
                "who": who,
                "median s": f"{median(taken):.2f}",
                "fastest": f"{min(taken):.2f}",
                "slowest": f"{max(taken):.2f}",
                "MB/s": f"{options.megabytes / median(taken):.0f}",
            }
            for who, taken in seconds.items()
        ]
    )
    print()
    for other in (AWS, AWS_SHA256):
        ratio = median(seconds[other]) / median(seconds[PAGE])
        print(f"throughput of our page: {ratio:.2f} of {other} (goal: 0.9)")


if __name__ == "__main__":
    main()
