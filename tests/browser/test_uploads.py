"""Uploads over a line that breaks: what arrives is what was sent, and next to nothing is sent twice."""

import hashlib
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from portal.demo import generate_clip
from tests.browser.conftest import DESKTOP, PHONE, arrive, choose, open_context, queue_item

pytestmark = pytest.mark.browser

MIB = 1024**2
PART = 8 * MIB
MOST_IN_FLIGHT = 3
SECONDS = 240_000
GOOD_LINE = 6 * MIB
COUNT = """
    const send = XMLHttpRequest.prototype.send;
    XMLHttpRequest.prototype.send = function (body) {
        let before = 0;
        this.upload.addEventListener("progress", (event) => {
            countSent(event.loaded - before);
            before = event.loaded;
        });
        send.call(this, body);
    };
"""


@dataclass
class Phone:
    """A patient's browser, which counts the bytes that leave it."""

    page: Page
    sent: list[int] = field(default_factory=list)

    def count(self, moved: int) -> None:
        self.sent.append(moved)

    def reopen(self, demo) -> None:
        """The tab is killed, and opened again at the page for sending."""
        context = self.page.context
        self.page.close()
        self.page = context.new_page()
        self.page.goto(f"{demo.base_url}/send/videos/")

    @property
    def bytes_sent(self) -> int:
        return sum(self.sent)

    def line(self, upload: int = GOOD_LINE, *, offline: bool = False, latency: int = 5) -> None:
        """Set the line's bytes a second."""
        devtools = self.page.context.new_cdp_session(self.page)
        devtools.send("Network.enable")
        devtools.send(
            "Network.emulateNetworkConditions",
            {
                "offline": offline,
                "latency": latency,
                "downloadThroughput": 4 * upload,
                "uploadThroughput": upload,
            },
        )

    def wait_for_bytes(self, count: int) -> None:
        """Return when so many bytes have left, in the middle of the upload."""
        deadline = time.monotonic() + SECONDS / 1000
        while self.bytes_sent < count:
            assert time.monotonic() < deadline, self.bytes_sent
            self.page.wait_for_timeout(20)


@pytest.fixture
def phones(chromium):
    """`phones()`: another phone. Their consoles complain of broken lines, which is what we break here."""
    contexts = []

    def phone(**kind) -> Phone:
        kind = kind or {"viewport": PHONE, "is_mobile": True, "has_touch": True}
        context = open_context(chromium, **kind)
        contexts.append(context)
        made = Phone(context.new_page())
        context.expose_function("countSent", made.count)
        context.add_init_script(COUNT)
        return made

    yield phone
    for context in contexts:
        context.close()


@pytest.fixture
def phone(phones):
    return phones()


@pytest.fixture
def link(demo):
    """A link of an encounter of its own, made as the clinician does it."""
    return demo.manage(
        "from encounters import encounters, invitations\n"
        "from encounters.callers import Caller\n"
        "from encounters.models import Channel, Patient\n"
        "from portal.accounts.models import Team, User\n"
        "from datetime import date\n"
        "import secrets\n"
        "caller = Caller(user=User.objects.get(email='clinician@clinic.example'))\n"
        "patient = Patient(record_number=secrets.token_hex(4), given_name='Wilhelmina',\n"
        "    family_name='Thistlewood', birth_date=date(1949, 2, 8))\n"
        "encounter = encounters.open_encounter(caller=caller, team=Team.objects.get(), patient=patient,\n"
        "    what_to_film='Please film how you stand up from a chair.')\n"
        "print(invitations.invite(caller=caller, encounter=encounter, channel=Channel.SCREEN))"
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mov"
    generate_clip(path)
    return path


def film(clip: Path, path: Path, size: int) -> Path:
    """A clip that plays, with noise behind it: a box of type `free`, which players skip."""
    rest = size - clip.stat().st_size
    with path.open("wb") as file:
        file.write(clip.read_bytes() + rest.to_bytes(4, "big") + b"free")
        for left in range(rest - 8, 0, -MIB):
            file.write(os.urandom(min(left, MIB)))
    return path


@pytest.fixture
def video(clip, tmp_path):
    """Five parts."""
    return film(clip, tmp_path / "IMG_0001.MOV", 36 * MIB)


def digest(content) -> str:
    return hashlib.file_digest(content, "sha256").hexdigest()


def stored(demo, path: Path) -> list[str]:
    """Keys of the originals in the store that are this very file."""
    originals = [entry for entry in demo.bucket().objects.all() if entry.size == path.stat().st_size]
    with path.open("rb") as file:
        wanted = digest(file)
    return [entry.key for entry in originals if digest(entry.get()["Body"]) == wanted]


def sent_in_words(page: Page, path: Path) -> None:
    expect(queue_item(page, path.name)).to_contain_text("Sent", timeout=SECONDS)


def dangling(demo) -> list[str]:
    """Keys of uploads that the store still keeps parts of."""
    bucket = demo.bucket()
    answer = bucket.meta.client.list_multipart_uploads(Bucket=bucket.name)
    return [found["Key"] for found in answer.get("Uploads", [])]


def arrived_whole(demo, phone: Phone, path: Path, *, breaks: int) -> None:
    """The store has the file once, bit by bit; sent twice were at most the parts in flight at each break."""
    assert len(stored(demo, path)) == 1
    assert phone.bytes_sent <= path.stat().st_size + breaks * MOST_IN_FLIGHT * PART
    assert dangling(demo) == []


def kill(demo, word: str) -> None:
    """End, without warning, the process of this demo whose command line holds the word."""
    killed = 0
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal():
            continue
        try:
            command = (process / "cmdline").read_bytes().decode()
            environment = (process / "environ").read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            continue
        ours = f"VAR_DIR={demo.environment['VAR_DIR']}\0" in environment
        if ours and word in command and "while :" not in command:
            os.kill(int(process.name), signal.SIGKILL)
            killed += 1
    assert killed, word


def begin(phone: Phone, link: str, path: Path) -> None:
    arrive(phone.page, link)
    phone.line()
    choose(phone.page, path)


def break_in_the_middle(demo, phone: Phone, how: str) -> None:
    phone.wait_for_bytes(12 * MIB)
    if how == "the line":
        phone.line(offline=True)
        expect(queue_item(phone.page, "IMG")).to_contain_text("goes on by itself", timeout=SECONDS)
        phone.line()
    elif how == "the store":
        kill(demo, "/weed")
    else:
        kill(demo, "uvicorn")


def unfinished(page: Page):
    return page.locator("[data-upload]")


def choose_again(page: Page, path: Path) -> None:
    unfinished(page).locator("input[type=file]").set_input_files(str(path))


@pytest.mark.parametrize("how", ["the line", "the store", "the web server"])
def test_what_breaks_in_the_middle_goes_on_by_itself(demo, phone, link, video, how):
    begin(phone, link, video)

    break_in_the_middle(demo, phone, how)

    sent_in_words(phone.page, video)
    arrived_whole(demo, phone, video, breaks=1)


def test_a_killed_tab_goes_on_when_the_same_video_is_chosen_again(demo, phone, link, video, clip, tmp_path):
    begin(phone, link, video)
    phone.wait_for_bytes(20 * MIB)
    phone.reopen(demo)
    expect(unfinished(phone.page)).to_contain_text("% is sent. Choose the same video again")
    (tmp_path / "other").mkdir()
    other = film(clip, tmp_path / "other" / video.name, 36 * MIB)

    choose_again(phone.page, other)
    expect(unfinished(phone.page)).to_contain_text("This is not the same video")
    expect(phone.page.get_by_role("button", name="Add as a new video")).to_be_visible()
    choose_again(phone.page, video)

    sent_in_words(phone.page, video)
    arrived_whole(demo, phone, video, breaks=1)
    assert stored(demo, other) == []


def test_the_same_video_chosen_with_the_first_button_goes_on_too(demo, phone, link, video):
    begin(phone, link, video)
    phone.wait_for_bytes(20 * MIB)
    phone.reopen(demo)
    expect(unfinished(phone.page)).to_have_count(1)
    os.utime(video, (1, 1))  # as a phone does that dates a video anew when it hands it over

    choose(phone.page, video)

    expect(unfinished(phone.page)).to_have_count(0)
    sent_in_words(phone.page, video)
    arrived_whole(demo, phone, video, breaks=1)


def test_what_is_no_longer_wanted_is_removed_from_the_list_and_the_store(demo, phone, link, video):
    begin(phone, link, video)
    phone.wait_for_bytes(10 * MIB)
    phone.reopen(demo)

    with phone.page.expect_response(lambda answer: answer.request.method == "DELETE"):
        phone.page.get_by_role("button", name="Remove").click()

    expect(unfinished(phone.page)).to_have_count(0)
    phone.page.reload()
    expect(unfinished(phone.page)).to_have_count(0)
    assert dangling(demo) == []


KEEP_A_HANDLE = """async (size) => {
    // A file of the browser's own stands for one on the disk: its handle is of the same kind.
    const folder = await navigator.storage.getDirectory();
    const handle = await folder.getFileHandle("IMG_0007.MOV", { create: true });
    const content = new Uint8Array(size).map((_, at) => at % 251);
    content.set([0, 0, 0, 20, ...new TextEncoder().encode("ftypqt  ")]);
    const writable = await handle.createWritable();
    await writable.write(content);
    await writable.close();
    window.showOpenFilePicker = async () => [handle];
}"""


def test_where_the_browser_keeps_the_file_it_goes_on_by_itself(demo, phones, link, tmp_path):
    size = 24 * MIB
    copy = tmp_path / "IMG_0007.MOV"
    copy.write_bytes(b"\0\0\0\x14ftypqt  " + bytes(at % 251 for at in range(12, size)))
    desk = phones(viewport=DESKTOP)
    arrive(desk.page, link)
    desk.page.evaluate(KEEP_A_HANDLE, size)
    desk.line()
    desk.page.get_by_text("Choose from your videos").click()
    desk.wait_for_bytes(10 * MIB)

    desk.reopen(demo)

    expect(queue_item(desk.page, copy.name)).to_contain_text(
        "not a video", timeout=SECONDS
    )  # when it is there
    arrived_whole(demo, desk, copy, breaks=1)


def test_of_two_tabs_one_sends_and_the_other_takes_over(demo, phone, link, video):
    begin(phone, link, video)
    phone.wait_for_bytes(4 * MIB)
    second = phone.page.context.new_page()
    second.goto(f"{demo.base_url}/send/videos/")
    choose(second, video)
    expect(queue_item(second, video.name).last).to_contain_text("another window of this browser")
    phone.wait_for_bytes(12 * MIB)

    phone.page.close()

    phone.page = second
    sent_in_words(second, video)
    arrived_whole(demo, phone, video, breaks=1)


def test_of_two_devices_the_one_that_is_told_to_sends(demo, phones, link, video):
    one, two = phones(), phones()
    begin(one, link, video)
    one.wait_for_bytes(4 * MIB)
    two.line(GOOD_LINE // 3)
    come_back(two, link)
    choose(two.page, video)
    expect(queue_item(two.page, video.name).last).to_contain_text("Another device is sending this video")

    two.page.get_by_role("button", name="Send it from here").click()

    expect(queue_item(one.page, video.name)).to_contain_text("Another device is sending", timeout=SECONDS)
    sent_in_words(two.page, video)
    sent_in_words(one.page, video)
    one.sent += two.sent
    arrived_whole(demo, one, video, breaks=1)


def come_back(phone: Phone, link: str) -> None:
    """The link and the date of birth lead to where the patient left off."""
    phone.page.goto(link)
    for label, value in (("Day", "8"), ("Month", "2"), ("Year", "1949")):
        phone.page.get_by_label(label).fill(value)
    phone.page.get_by_role("button", name="Continue").click()


@pytest.mark.slow
def test_a_slow_line_carries_one_part_at_a_time_and_is_no_stall(demo, phone, link, clip, tmp_path):
    """A 3G phone sends 1.6 Mbit/s."""
    path = film(clip, tmp_path / "IMG_0003.MOV", 17 * MIB // 2)
    arrive(phone.page, link)
    phone.line(1_600_000 // 8, latency=100)
    puts = []
    phone.page.on("request", lambda request: puts.append(request) if request.method == "PUT" else None)
    choose(phone.page, path)

    expect(queue_item(phone.page, path.name)).to_contain_text("minute", timeout=SECONDS)
    assert len(puts) == 1
    sent_in_words(phone.page, path)
    arrived_whole(demo, phone, path, breaks=0)
    assert len(puts) == 2


@pytest.mark.slow
def test_a_large_video_survives_everything(demo, phone, link, clip, tmp_path):
    path = film(clip, tmp_path / "IMG_0300.MOV", 300 * MIB)
    arrive(phone.page, link)
    phone.line(24 * MIB)
    choose(phone.page, path)

    phone.wait_for_bytes(40 * MIB)
    phone.line(offline=True)
    phone.page.wait_for_timeout(2000)
    phone.line(24 * MIB)
    phone.wait_for_bytes(100 * MIB)
    kill(demo, "/weed")
    phone.wait_for_bytes(170 * MIB)
    kill(demo, "uvicorn")
    phone.wait_for_bytes(230 * MIB)
    phone.reopen(demo)
    phone.line(24 * MIB)
    choose_again(phone.page, path)

    sent_in_words(phone.page, path)
    arrived_whole(demo, phone, path, breaks=4)
