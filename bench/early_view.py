"""From the last byte of an upload to the first picture in the clinician's browser, while a worker converts.

The clinician's page is open in Chromium, and *Watch now* is pressed as soon as it is there. The clock starts
when the store has taken the last part, and stops when a frame is painted (requestVideoFrameCallback). Peers
in the same run: ffmpeg on the object's address, until its first fragment; and waiting for the conversion.
"""

import itertools
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from django.conf import settings
from django.test import Client as Visitor
from django.utils import timezone
from playwright.sync_api import Page, sync_playwright

from bench import stack
from bench.live import HEVC, HEVC_OPTIONS, by_itself
from bench.soak import PLAIN, Client, Plan
from bench.support import CACHE, arguments, filmed, megabytes, table
from bench.uploads import CHROMIUM
from encounters.models import Encounter, Invitation, Video
from portal.accounts.models import User
from transcoding.models import Status, TranscodeJob
from transcoding.store import object_store

LENGTHS = (30, 240, 120)
LONG = 120
"""Seconds of the film that is waited for until it is converted, once, at the end."""
GOAL = 2.0
PATIENCE = 300_000
WATCH = """
    const mark = (name) => {
        document.documentElement.dataset[name] ??= performance.timeOrigin + performance.now();
    };
    const look = () => {
        const button = document.querySelector("[data-watch-live]");
        if (button?.offsetParent) {
            mark("offered");
            button.click();
        }
        const player = document.querySelector("video[data-live]");
        if (player && !player.dataset.watched) {
            player.dataset.watched = "1";
            player.muted = true;
            player.addEventListener("loadedmetadata", () => mark("header"));
            player.requestVideoFrameCallback(() => mark("picture"));
        }
        if (document.querySelector(".video-card[data-state=ready]")) mark("converted");
    };
    const everything = { subtree: true, childList: true, attributes: true };
    document.addEventListener("DOMContentLoaded", () => {
        new MutationObserver(look).observe(document.body, everything);
        look();
    });
"""
"""Notes when things happen, in milliseconds of the machine's clock."""
STEPS = ("completed", "offered", "header", "picture")


def upload(link: str, film: Path) -> tuple[float, float]:
    """Send the film. When the store had its last byte, and when completing was answered."""
    client = Client(Plan(number=1, fault=PLAIN, link=link, content=film.read_bytes()))
    announced = client.announce()
    client.send_missing(announced)
    arrived = time.time()
    client.call("POST", f"{announced['id']}/complete/", {})
    return arrived, time.time()


@contextmanager
def desk() -> Iterator[Page]:
    """Chromium, signed in as the clinician."""
    visitor = Visitor()
    visitor.force_login(User.objects.get(email="bench@clinic.example"))
    cookie = visitor.cookies[settings.SESSION_COOKIE_NAME].value
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
        )
        context = browser.new_context()
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": settings.BASE_URL}]
        )
        context.add_init_script(WATCH)
        yield context.new_page()
        browser.close()


def watched(page: Page, encounter: Encounter, link: str, film: Path, *, to_the_end: bool) -> dict[str, float]:
    """Seconds from the last byte to each step, for one upload; the conversion's too if `to_the_end`."""
    page.goto(f"{settings.BASE_URL}/encounters/{encounter.reference}/")
    arrived, completed = upload(link, film)
    page.locator("html[data-picture]").wait_for(timeout=PATIENCE)
    if to_the_end:
        page.locator("html[data-converted]").wait_for(timeout=PATIENCE)
    else:
        call_off(encounter)
    noted = page.locator("html").evaluate("(page) => ({ ...page.dataset })")
    page.goto("about:blank")
    marks = {name: float(at) for name, at in noted.items()}
    assert marks["picture"] < marks.get("converted", math.inf), "Nothing was early."
    steps = {name: at / 1000 - arrived for name, at in marks.items()}
    return steps | {"completed": completed - arrived, "ffmpeg": peer(encounter)}


def call_off(encounter: Encounter) -> None:
    """The worker notices at its next heartbeat, and stops."""
    final = {"status": Status.CANCELLED, "lease_expires_at": None, "finished_at": timezone.now()}
    TranscodeJob.objects.filter(video__encounter=encounter).update(**final)


def peer(encounter: Encounter) -> float:
    """Seconds until ffmpeg by itself, on the address of the same object, has made a first fragment."""
    source = Video.objects.get(encounter=encounter).source_key
    with tempfile.NamedTemporaryFile() as output:
        started = time.perf_counter()
        by_itself(object_store(), source)(Path(output.name))
        return time.perf_counter() - started


@contextmanager
def portal(encounters: int) -> Iterator[list[str]]:
    """A portal with a worker; gives links to so many encounters."""
    running = stack.Stack()
    running.start()
    workers = subprocess.Popen(
        [sys.executable, "manage.py", "qcluster"],
        cwd=settings.BASE_DIR,
        env={**os.environ, "Q_CLUSTER_NAME": "video"},
        **stack.QUIET,
    )
    try:
        yield stack.links(encounters)
    finally:
        workers.kill()  # its children end with it
        workers.wait()
        running.stop()


def main() -> None:
    options = arguments(__doc__ or "", runs=3).parse_args()
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright's loop sleeps while we ask the database
    CACHE.mkdir(parents=True, exist_ok=True)
    films = {
        seconds: filmed(f"live-hevc-{seconds}s.mov", seconds, *HEVC, *HEVC_OPTIONS) for seconds in LENGTHS
    }
    found: dict[int, list[dict[str, float]]] = {seconds: [] for seconds in LENGTHS}
    with portal(options.runs * len(films)) as links, desk() as page:
        turns = itertools.product(range(options.runs), LENGTHS)
        for link, (run, seconds) in zip(links, turns, strict=True):
            to_the_end = run == options.runs - 1 and seconds == LONG
            steps = watched(page, invited(link), link, films[seconds], to_the_end=to_the_end)
            print(f"{seconds} s: " + ", ".join(f"{name} {at:.2f}" for name, at in steps.items()), flush=True)
            found[seconds].append(steps)
    table([row(films[seconds], seconds, steps) for seconds, steps in sorted(found.items())])
    middle = {seconds: median(one["picture"] for one in steps) for seconds, steps in found.items()}
    print(f"\n{middle[LONG]:.2f} s to the first picture of two minutes (goal: {GOAL:.0f})")
    print(f"{middle[240] / middle[30]:.2f} times as long for eight times the film")


def invited(link: str) -> Encounter:
    invitation = Invitation.for_token(link.rstrip("/").rpartition("/")[2])
    assert invitation
    return invitation.encounter


def row(film: Path, seconds: int, found: list[dict[str, float]]) -> dict[str, str]:
    def middle(name: str) -> str:
        return f"{median(one[name] for one in found if name in one):.2f}"

    pictures = [one["picture"] for one in found]
    return {
        "film": f"{seconds} s, {megabytes(film)} MB",
        **{name: middle(name) for name in STEPS},
        "fastest": f"{min(pictures):.2f}",
        "slowest": f"{max(pictures):.2f}",
        "ffmpeg by itself": middle("ffmpeg"),
        "converted": middle("converted") if seconds == LONG else "-",
    }


if __name__ == "__main__":
    main()
