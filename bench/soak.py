"""Uploads with random faults, by a client without a browser: what is lost, doubled or left dangling?

Meanwhile web server and store are killed again and again. Every fault ends as it would in life: the client
tries again, or never comes back.
"""

import argparse
import base64
import hashlib
import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from http.cookiejar import CookieJar
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from bench import stack
from bench.support import table
from encounters import recovery
from encounters.models import Video
from encounters.offers import SMALLEST_PART
from transcoding.models import TranscodeJob
from transcoding.store import object_store

PLAIN = "none"
NEVER_DONE = {"abandoned", "stopped"}
FAULTS = [
    PLAIN, "part cut off", "part sent twice", "wrong bytes", "page reloaded", "answer of completion lost",
    "vanished before completion", "two devices at once", *sorted(NEVER_DONE),
]  # fmt: skip
HEAD = b"\0\0\0\x14ftypqt  \0\0\0\0qt  "
PATIENTS = 20
PATIENCE = 120
LONG = timedelta(days=settings.UPLOAD_RESUME_DAYS + 1)


@dataclass
class Plan:
    """One upload and what goes wrong with it."""

    number: int
    fault: str
    link: str
    content: bytes = field(repr=False)
    sent: int = 0
    """Bytes that left."""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def parts(self) -> list[tuple[int, bytes]]:
        starts = range(0, len(self.content), SMALLEST_PART)
        return [(number, self.content[at : at + SMALLEST_PART]) for number, at in enumerate(starts, 1)]


class Client:
    """A patient's browser, as far as uploads need one."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cookies = CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.token = self._let_in()

    def _let_in(self) -> str:
        page = insist(lambda: self.opener.open(self.plan.link, timeout=30).read().decode())
        born = {"day": stack.BIRTH_DATE.day, "month": stack.BIRTH_DATE.month, "year": stack.BIRTH_DATE.year}
        token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        form = urllib.parse.urlencode({**born, "csrfmiddlewaretoken": token}).encode()
        asked = f"{settings.BASE_URL}/send/birth-date/"
        insist(lambda: self.opener.open(asked, form, timeout=30).read())
        sending = f"{settings.BASE_URL}/send/videos/"
        page = insist(lambda: self.opener.open(sending, timeout=30).read().decode())
        return page.split('data-csrf="')[1].split('"')[0]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": "application/json", "X-CSRFToken": self.token}

        def ask() -> Any:
            request = urllib.request.Request(  # noqa: S310 - our own server
                f"{settings.BASE_URL}/uploads/{path}", data, headers, method=method
            )
            return json.load(self.opener.open(request, timeout=60))

        return insist(ask)

    def announce(self) -> Any:
        content = self.plan.content
        name = f"IMG_{self.plan.number:04}.MOV"
        offer = {"filename": name, "size": len(content), "type": "video/quicktime"}
        return self.call("POST", "", {**offer, "fingerprint": self.plan.sha256})

    def put(self, upload: str, number: int, part: bytes, *, cut: bool = False, spoil: bool = False) -> None:
        checksum = base64.b64encode(hashlib.sha256(part).digest()).decode()
        wanted = {"parts": [{"number": number, "sha256": checksum}]}

        def send() -> None:
            permission = self.call("POST", f"{upload}/parts/", wanted)["urls"][0]
            address = urllib.parse.urlsplit(permission["url"])
            line = http.client.HTTPConnection(address.netloc, timeout=60)
            headers = {**permission["headers"], "Content-Length": str(len(part))}
            if cut:
                line.putrequest("PUT", f"{address.path}?{address.query}")
                for name, value in headers.items():
                    line.putheader(name, value)
                line.endheaders(part[: len(part) // 2])
                self.plan.sent += len(part) // 2
                line.close()
                return
            body = bytes([part[0] ^ 1]) + part[1:] if spoil else part
            line.request("PUT", f"{address.path}?{address.query}", body, headers)
            self.plan.sent += len(part)
            status = line.getresponse().status
            line.close()
            if spoil:
                assert status != HTTPStatus.OK, "The store took wrong bytes."
            elif status != HTTPStatus.OK:
                raise ConnectionError(status)

        insist(send)

    def send_missing(self, announced: Any) -> None:
        there = {(part["number"], part["size"]) for part in announced["parts"]}
        for number, part in self.plan.parts:
            if (number, len(part)) not in there:
                self.put(announced["id"], number, part)

    def complete(self, upload: str) -> None:
        """Also when the store was found to lack a part, or to have forgotten all of them."""
        while True:
            try:
                self.call("POST", f"{upload}/complete/", {})
            except Refused as refusal:
                if refusal.code not in {"parts_missing", "upload_gone"}:
                    raise
                self.send_missing(self.announce())
            else:
                return


class Refused(Exception):
    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


def insist(attempt: Callable[[], Any]) -> Any:
    """As the page does: what may pass is tried again, what is refused is not."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return attempt()
        except urllib.error.HTTPError as error:
            with error:
                if error.code < HTTPStatus.INTERNAL_SERVER_ERROR:  # the server's own faults pass
                    raise Refused(str(json.loads(error.read() or b"{}").get("code", error.code))) from error
        except (OSError, http.client.HTTPException, ValueError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.3)


def carry_out(plan: Plan, seed: int) -> None:
    chance = dice(seed * 1000 + plan.number)
    client = Client(plan)
    announced = client.announce()
    upload = announced["id"]
    number, part = chance.choice(plan.parts)
    if plan.fault in NEVER_DONE:
        client.put(upload, number, part, cut=plan.fault == "abandoned")
        if plan.fault == "stopped":
            client.call("DELETE", f"{upload}/")
    elif plan.fault == "two devices at once":
        with ThreadPoolExecutor(2) as both:
            list(both.map(finish, (client, Client(plan))))
    else:
        FIRST.get(plan.fault, lambda *_: None)(client, upload, number, part)
        if plan.fault == "page reloaded":
            client = Client(plan)
        client.send_missing(client.announce())
        if plan.fault == "answer of completion lost":
            lose_the_answer(client, upload)
        if plan.fault != "vanished before completion":
            client.complete(upload)


def twice(client: Client, upload: str, number: int, part: bytes) -> None:
    client.put(upload, number, part)
    client.put(upload, number, part)


FIRST: dict[str, Callable[[Client, str, int, bytes], None]] = {
    "part cut off": partial(Client.put, cut=True),
    "part sent twice": twice,
    "wrong bytes": partial(Client.put, spoil=True),
    "page reloaded": Client.put,
}
"""What happens to one part before the client goes on."""


def finish(client: Client) -> None:
    announced = client.announce()
    try:
        if not announced["received"]:
            client.send_missing(announced)
            client.complete(announced["id"])
    except Refused as refusal:
        # The other device was first: there is nothing left to send.
        if refusal.code not in {"bad_parts", "upload_gone"}:
            raise


def lose_the_answer(client: Client, upload: str) -> None:
    address = urllib.parse.urlsplit(settings.BASE_URL)
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in client.cookies)
    try:
        line = http.client.HTTPConnection(address.netloc, timeout=5)
        headers = {"X-CSRFToken": client.token, "Cookie": cookies, "Content-Length": "0"}
        line.request("POST", f"/uploads/{upload}/complete/", b"", headers)
        line.close()
    except OSError:
        pass  # the server was down just then: lost is lost


def plans(count: int, seed: int, links: list[str]) -> list[Plan]:
    chance = dice(seed)
    made = []
    for number in range(count):
        size = int(50_000 * (400 ** chance.random()))  # 50 kB to 20 MB
        content = HEAD + chance.randbytes(size)
        made.append(Plan(number, FAULTS[number % len(FAULTS)], links[number % len(links)], content))
    chance.shuffle(made)
    return made


def dice(seed: int) -> random.Random:
    """The same throws for the same seed: faults, sizes and moments."""
    return random.Random(seed)  # noqa: S311 - no secrets


def make_trouble(portal: stack.Stack, over: threading.Event, seed: int) -> Counter[str]:
    """Kill the web server or the store every few seconds, and start it again."""
    chance = dice(seed)
    kills: Counter[str] = Counter()
    while not over.wait(chance.uniform(3, 8)):
        if chance.choice((True, False)):
            portal.kill_web()
            portal.start_web()
            kills["web server"] += 1
        else:
            portal.kill_store()
            over.wait(chance.uniform(0, 1))
            portal.start_store()
            kills["store"] += 1
    return kills


def sweep() -> None:
    """Days later: the scheduled tasks have run."""
    Video.objects.update(active_at=timezone.now() - timedelta(minutes=10))
    recovery.recover()
    Video.objects.unfinished().update(created_at=timezone.now() - LONG)
    recovery.ORPHAN_AFTER = timedelta(seconds=-60)
    recovery.tidy()


def judge(done: list[Plan], problems: dict[int, str]) -> list[dict[str, str]]:
    """One row for each fault."""
    received = defaultdict(list)
    for video in Video.objects.received():
        received[video.fingerprint].append(video)
    rows: dict[str, Counter[str]] = {fault: Counter() for fault in FAULTS}
    for plan in done:
        row, videos = rows[plan.fault], received[plan.sha256]
        whole = [video for video in videos if stored_digest(video) == plan.sha256]
        row["uploads"] += 1
        row["received"] += len(whole) > 0
        row["lost"] += plan.fault not in NEVER_DONE and not whole
        row["damaged"] += len(videos) - len(whole)
        row["doubled"] += max(0, len(videos) - 1)
        row["gave up"] += plan.number in problems
        row["bytes"] += len(plan.content)
        row["sent"] += plan.sent
    rows["all"] = sum(rows.values(), Counter())
    columns = ("uploads", "received", "lost", "damaged", "doubled", "gave up")
    return [
        {"what went wrong": fault}
        | {name: str(row[name]) for name in columns}
        | {"sent / size": f"{row['sent'] / row['bytes']:.2f}"}
        for fault, row in rows.items()
    ]


def stored_digest(video: Video) -> str:
    return hashlib.sha256(object_store().read(video.source_key)).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=6)
    options = parser.parse_args()
    portal = stack.Stack()
    portal.start()
    planned = plans(options.uploads, options.seed, stack.links(PATIENTS))
    problems: dict[int, str] = {}

    def attempt(plan: Plan) -> None:
        try:
            carry_out(plan, options.seed)
        except (Refused, OSError) as error:
            problems[plan.number] = repr(error)
        finally:
            connection.close()

    over = threading.Event()
    started = time.monotonic()
    with ThreadPoolExecutor(options.at_once) as pool, ThreadPoolExecutor(1) as villain:
        kills = villain.submit(make_trouble, portal, over, options.seed)
        list(pool.map(attempt, planned))
        over.set()
    seconds = time.monotonic() - started
    sweep()
    time.sleep(5)  # a store that deletes too much does it in the background
    table(judge(planned, problems))
    objects = set(object_store().keys())
    known = {video.source_key for video in Video.objects.received()}
    print(f"\n{seconds:.0f} s, killed: {dict(kills.result())}")
    print(f"left dangling at the store: {len(list(object_store().open_uploads()))} uploads")
    print(f"objects without a video: {len(objects - known)}, videos without one: {len(known - objects)}")
    print(f"jobs without a video: {TranscodeJob.objects.filter(video=None).count()}")
    for number, problem in problems.items():
        print(f"gave up {number}: {problem}")
    portal.stop()


if __name__ == "__main__":
    main()
