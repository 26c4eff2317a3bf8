"""The same walk, as people take it, with every conversion in the emulated Lambda instead of a worker."""

import json
import os
import threading

import pytest
from playwright.sync_api import expect

from portal.seaweed import free_port
from tests.aws import emulated
from tests.aws.fake_lambda import FakeLambda
from tests.browser.conftest import DESKTOP, arrive, open_context, open_encounter, running, sign_in
from tests.browser.test_walk import (  # noqa: F401 - run here once more, over the `demo` below
    assert_plays,
    card,
    clip,
    phone_files,
    send_all,
    test_a_generated_clip_takes_the_whole_walk,
    test_real_phone_videos_take_the_whole_walk,
    test_what_is_no_video_is_told_to_patient_and_admin,
)
from tests.transcoding.engine.support import eventually

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SECRET = "a secret of at least thirty-two characters"
KEYS = {"S3_ACCESS_KEY": "walk", "S3_SECRET_KEY": "a-key-for-the-store-of-this-walk"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo with TRANSCODE_RUNNER=lambda, and the function in AWS's emulator."""
    var = tmp_path_factory.mktemp("demo")
    port, s3_port, one_at_a_time = free_port(), free_port(), threading.Lock()
    environment = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ
    }
    function_environment = {
        "BUCKET": "videos",
        "S3_ENDPOINT": f"http://127.0.0.1:{s3_port}",
        "AWS_ACCESS_KEY_ID": KEYS["S3_ACCESS_KEY"],
        "AWS_SECRET_ACCESS_KEY": KEYS["S3_SECRET_KEY"],
        "WORK_DIR": str(tmp_path_factory.mktemp("tmp")),
        "PORTAL_URL": f"http://127.0.0.1:{port}",
        "CALLBACK_SECRET": SECRET,
    }
    with emulated.Emulated(function_environment, var, seconds=300) as function:

        def invoke(body: bytes) -> None:
            with one_at_a_time:
                function.invoke(body, 300)

        with FakeLambda(invoke) as api:
            environment |= {
                **KEYS,
                "VAR_DIR": str(var),
                "PORT": str(port),
                "S3_PORT": str(s3_port),
                "TRANSCODE_RUNNER": "lambda",
                "LAMBDA_FUNCTION": "transcode",
                "LAMBDA_ENDPOINT": api.address,
                "CALLBACK_KEYS": f"transcode:{SECRET}",
            }
            with running(var, environment) as started:
                yield started


def test_every_conversion_was_the_functions(demo, desk):
    """Runs last: what the walks above left behind."""
    counts = demo.manage(
        "from transcoding.models import *; import json;"
        "print(json.dumps({'runners': sorted(set(TranscodeAttempt.objects.values_list('runner', flat=True))),"
        "'statuses': sorted(set(TranscodeJob.objects.values_list('status', flat=True))),"
        "'again': TranscodeJob.objects.filter(attempt__gt=1).count()}))"
    )
    assert json.loads(counts) == {"runners": ["lambda"], "statuses": ["failed", "succeeded"], "again": 0}
    sign_in(desk, demo, "admin")
    expect(desk.locator("[data-status=running]")).to_have_count(0)


def test_an_admin_has_a_film_made_again_on_a_worker_while_the_clinician_watches(
    demo,
    chromium,
    console,
    phone,
    desk,
    clip,  # noqa: F811 - the fixture
):
    """Runs after the count above: what it makes is a worker's."""
    sign_in(desk, demo, "clinician")
    arrive(phone, open_encounter(desk, demo, "W-9"))
    send_all(phone, [clip])
    player = card(desk, clip.path.name).locator("video")
    expect(player).to_be_visible(timeout=120_000)
    player.evaluate("async (video) => { video.muted = video.loop = true; await video.play(); }")
    job = demo.manage("from transcoding.models import *; print(TranscodeJob.objects.latest('queued_at').pk)")
    settled = f"from transcoding.models import *; print(TranscodeJob.objects.get(pk='{job.strip()}').extras)"
    assert eventually(lambda: demo.manage(settled).strip() == "done", 120)
    context = open_context(chromium, DESKTOP)
    admin = console.watch(context.new_page())
    sign_in(admin, demo, "admin")
    admin.goto(f"{demo.base_url}/conversions/{job.strip()}/")

    admin.get_by_text("Convert again…").click()
    admin.get_by_role("button", name="Convert again on a worker").click()

    expect(admin.locator("tbody tr", has_text="Succeeded")).to_have_count(2, timeout=120_000)
    expect(admin.get_by_text("Being converted again")).to_have_count(0)
    expect(admin.get_by_text("Convert again…")).to_be_visible()
    context.close()
    made = f"from transcoding.models import *; print(*TranscodeAttempt.objects.filter(job='{job.strip()}')"
    assert demo.manage(f"{made}.values_list('runner', 'outcome'))").split("\n")[0] == (
        "('lambda', 'succeeded') ('local', 'succeeded')"
    )
    at = player.evaluate("(video) => video.currentTime")
    player.evaluate(
        """(video, at) => new Promise((resolve) => {
            const look = () => (video.currentTime !== at && !video.paused && !video.error
                ? resolve() : requestAnimationFrame(look));
            look();
        })""",
        at,
    )
    assert_plays(desk, clip)
