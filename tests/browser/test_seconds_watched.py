"""The player tells how much of a video was shown, also when its page just goes away."""

import re
import time

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import sign_in

pytestmark = pytest.mark.browser

SHOWS_TWO_SECONDS_TWICE = """async (video) => {
    const until = (second) => new Promise((resolve) => {
        const look = () => (video.currentTime > second ? resolve() : requestAnimationFrame(look));
        look();
    });
    video.muted = true;
    await video.play();
    await until(2);
    video.currentTime = 0;
    await new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
    await until(2);
}"""


def watched(page):
    """Seconds that the records say by now."""
    page.reload()
    told = (
        page.get_by_role("cell").filter(has_text=re.compile(r"Seconds watched: \d+:\d\d")).all_inner_texts()
    )
    return [
        int(found[1]) * 60 + int(found[2]) for text in told if (found := re.search(r"(\d+):(\d\d)", text))
    ]


def eventually(page, count):
    deadline = time.monotonic() + 60
    while len(found := watched(page)) < count:
        assert time.monotonic() < deadline, found
    return found


@pytest.mark.parametrize("leave", ["closed", "navigated"])
def test_seconds_are_recorded_when_the_page_goes_away_and_those_seen_twice_count_once(demo, desk, leave):
    sign_in(desk, demo, "clinician")
    desk.get_by_role("link", name="Cole, Idris").click()
    records = desk.context.new_page()
    records.goto(f"{desk.url}access/")
    before = len(watched(records))
    player = desk.locator(".video-card[data-state=ready] video")
    expect(player).to_be_visible(timeout=120_000)
    # Another viewing than that of an earlier test: this one is silent for long enough.
    demo.manage("from encounters.models import Viewing; Viewing.objects.all().delete()")

    player.evaluate(SHOWS_TWO_SECONDS_TWICE)
    if leave == "closed":
        desk.close()
    else:
        desk.goto("about:blank")

    newest = eventually(records, before + 1)[0]
    # Longer than two seconds only by what played until the page was gone; the film itself lasts six.
    assert 2 <= newest <= 6
    expect(records.get_by_role("row", name="Dr Robin Hale Clinician")).to_contain_text("0:0")
