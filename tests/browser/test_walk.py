"""The whole walk, as people take it: the clinician on a desk, the patient on a phone, the admin after."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from portal.demo import generate_clip
from tests.browser.conftest import arrive, choose, open_encounter, queue_item, sign_in

pytestmark = pytest.mark.browser


@dataclass(frozen=True)
class Sent:
    """A file that a patient sends, and what a browser must show of it."""

    path: Path
    width: int
    height: int
    duration: float
    has_audio: bool


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "IMG_0042.MOV"
    generate_clip(path)
    return Sent(path, 720, 1280, 6.0, has_audio=True)


@pytest.fixture
def phone_files(shared_media):
    """Sizes as displayed, after rotation; durations in seconds. Measured apart from the product."""
    return [
        Sent(shared_media / "ip01_4s_portrait_h264_gps.mov", 320, 568, 2.068, has_audio=True),
        Sent(shared_media / "ip08_12promax_dv_hlg_mebx.mov", 1080, 1920, 0.3, has_audio=True),
        Sent(shared_media / "an14_h263_qcif.3gp", 176, 144, 1.0, has_audio=False),
        Sent(shared_media / "an11_3gp5_720p_rot90_gps.3gp", 720, 1280, 1.323, has_audio=True),
        Sent(shared_media / "web02_vp9_odd_dims.webm", 162, 122, 1.001, has_audio=False),
    ]


def send_all(page: Page, files: list[Sent]) -> None:
    choose(page, *(file.path for file in files))
    for file in files:
        expect(queue_item(page, file.path.name)).to_contain_text("Sent", timeout=120_000)
    page.get_by_role("button", name="I have sent everything").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()


def card(page: Page, name: str):
    return page.locator(".video-card", has_text=name)


def assert_plays(page: Page, file: Sent) -> None:
    """The MP4 really plays: metadata, moving time, a picture of the right size, seeking to the middle."""
    player = card(page, file.path.name).locator("video")
    expect(player).to_be_visible(timeout=120_000)
    shown = player.evaluate(
        """async (video) => {
            const until = (name) => new Promise((resolve, reject) => {
                video.addEventListener(name, resolve, { once: true });
                video.addEventListener("error", () => reject(video.error), { once: true });
            });
            video.muted = true;
            await video.play();
            while (video.currentTime === 0) await until("timeupdate");
            video.pause();
            const advanced = video.currentTime;
            const middle = video.duration / 2;
            const sought = until("seeked");
            video.currentTime = middle;
            await sought;
            return { advanced, middle, at: video.currentTime, duration: video.duration,
                     width: video.videoWidth, height: video.videoHeight };
        }"""
    )
    assert shown["advanced"] > 0
    assert (shown["width"], shown["height"]) == (file.width, file.height)
    assert shown["duration"] == pytest.approx(file.duration, abs=0.1)
    assert shown["at"] == pytest.approx(shown["middle"], abs=0.05)


def boxes_in_order(content: bytes) -> list[str]:
    """Types of the top-level boxes of an MP4. Source: ISO/IEC 14496-12, section 4.2."""
    found, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(content[at + 8 : at + 16], "big")
        found.append(content[at + 4 : at + 8].decode("latin-1"))
        at += size or len(content)
    return found


def assert_browser_safe(ffprobe: str, path: Path, file: Sent) -> None:
    command = [ffprobe, "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    (video,) = [stream for stream in found["streams"] if stream["codec_type"] == "video"]
    audio = [stream for stream in found["streams"] if stream["codec_type"] == "audio"]
    assert (video["codec_name"], video["pix_fmt"]) == ("h264", "yuv420p")
    assert [stream["codec_name"] for stream in audio] == (["aac"] if file.has_audio else [])
    assert float(video["duration"]) == pytest.approx(file.duration, abs=0.1)
    boxes = boxes_in_order(path.read_bytes())
    assert boxes.index("moov") < boxes.index("mdat")


def check_bucket(demo, ffprobe: str, reference: str, files: list[Sent], folder: Path) -> None:
    """Original and MP4 are in the bucket: as sent, private, encrypted, of the right type."""
    objects = {entry.key: entry.Object() for entry in demo.bucket().objects.filter(Prefix=f"{reference}/")}
    originals = {
        key: found for key, found in objects.items() if f"{key.rpartition('.')[0]}.web.mp4" in objects
    }
    assert len(originals) == len(files)
    for file in files:
        (key,) = [key for key, found in originals.items() if is_same(found, file.path)]
        mp4 = objects[f"{key.rpartition('.')[0]}.web.mp4"]
        assert (mp4.content_type, mp4.server_side_encryption) == ("video/mp4", "AES256")
        assert originals[key].server_side_encryption == "AES256"
        copy = folder / "out.mp4"
        copy.write_bytes(mp4.get()["Body"].read())
        assert_browser_safe(ffprobe, copy, file)


def is_same(found, path: Path) -> bool:
    return found.content_length == path.stat().st_size and found.get()["Body"].read() == path.read_bytes()


def test_a_generated_clip_takes_the_whole_walk(demo, phone, desk, clip):
    sign_in(desk, demo, "clinician")
    link = open_encounter(desk, demo, "W-1")
    expect(desk.get_by_text("No videos yet")).to_be_visible()
    arrive(phone, link)
    send_all(phone, [clip])

    assert_plays(desk, clip)
    expect(queue_item(phone, clip.path.name)).to_contain_text("Your clinic can watch it", timeout=120_000)
    expect(desk.get_by_text("No videos yet")).to_be_hidden()
    desk.reload()
    expect(desk.get_by_text("My knees give way.")).to_be_visible()


def test_real_phone_videos_take_the_whole_walk(demo, phone, desk, phone_files, ffprobe, tmp_path):
    sign_in(desk, demo, "clinician")
    link = open_encounter(desk, demo, "W-2")
    arrive(phone, link)
    send_all(phone, phone_files)

    for file in phone_files:
        assert_plays(desk, file)
    reference = desk.url.rstrip("/").rpartition("/")[2]
    check_bucket(demo, ffprobe, reference, phone_files, tmp_path)


def test_what_is_no_video_is_told_to_patient_and_admin(demo, phone, desk, clip, tmp_path):
    text = tmp_path / "holiday.mov"
    text.write_text("Dear doctor, I attach my video.")
    truncated = tmp_path / "cut.mov"
    truncated.write_bytes(clip.path.read_bytes()[:200_000])
    sign_in(desk, demo, "clinician")
    link = open_encounter(desk, demo, "W-3")
    arrive(phone, link)

    choose(phone, text, truncated)

    expect(queue_item(phone, "holiday.mov")).to_contain_text("This file is not a video", timeout=120_000)
    expect(queue_item(phone, "cut.mov")).to_contain_text("missing or broken", timeout=120_000)
    desk.get_by_role("button", name="Sign out").click()
    sign_in(desk, demo, "admin")
    for code in ("not_a_video", "damaged"):
        expect(desk.locator(f"[data-code={code}]").first).to_be_visible()
    expect(desk.locator("[data-status=running]")).to_have_count(0)


def test_an_empty_file_is_refused_at_once_and_filed(demo, chromium, desk, tmp_path):
    """Chromium itself reports the refused request in its console, so this page is not watched for errors."""
    empty = tmp_path / "empty.mov"
    empty.touch()
    sign_in(desk, demo, "clinician")
    link = open_encounter(desk, demo, "W-4")
    phone = chromium.new_page()
    arrive(phone, link)

    with phone.expect_response(lambda answer: answer.url.endswith("/uploads/")):
        choose(phone, empty)

    expect(queue_item(phone, "empty.mov")).to_contain_text("This file is empty")
    phone.context.close()
    desk.get_by_role("button", name="Sign out").click()
    sign_in(desk, demo, "admin")
    expect(desk.locator("[data-code=empty]").first).to_be_visible()


def test_a_video_chosen_before_the_page_is_ready_is_taken(demo, phone, desk, clip):
    """On a slow line the button works before the script is there."""
    sign_in(desk, demo, "clinician")
    held = []

    def hold(route):  # Playwright looks at the signature, which a built-in has not
        held.append(route)

    phone.route("**/upload_page*.js", hold)
    link = open_encounter(desk, demo, "W-6")
    with phone.expect_request("**/upload_page*.js"):
        arrive(phone, link)
    choose(phone, clip.path)
    expect(queue_item(phone, clip.path.name)).to_have_count(0)

    held[0].continue_()

    expect(queue_item(phone, clip.path.name)).to_contain_text("Sent", timeout=120_000)


def test_an_admin_tries_a_failed_conversion_again(demo, phone, desk, clip, tmp_path):
    cut = tmp_path / "cut.mov"
    cut.write_bytes(clip.path.read_bytes()[:200_000])
    sign_in(desk, demo, "clinician")
    arrive(phone, open_encounter(desk, demo, "W-5"))
    choose(phone, cut)
    expect(queue_item(phone, "cut.mov")).to_contain_text("missing or broken", timeout=120_000)
    desk.get_by_role("button", name="Sign out").click()
    sign_in(desk, demo, "admin")
    desk.locator("[data-code=damaged] .row-link").first.click()

    desk.get_by_role("button", name="Try again").click()

    expect(desk.get_by_text("2 of at most")).to_be_visible(timeout=120_000)
    expect(desk.get_by_role("button", name="Try again")).to_be_visible(timeout=120_000)


def test_the_keyboard_keeps_its_place_when_the_list_renews_itself(demo, desk):
    sign_in(desk, demo, "clinician")
    row = desk.get_by_role("link", name="Cole, Idris")
    row.focus()

    with desk.expect_response(lambda answer: "state=" in answer.url):
        pass
    desk.wait_for_timeout(300)

    expect(row).to_be_focused()
