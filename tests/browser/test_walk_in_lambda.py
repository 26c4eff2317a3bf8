"""The same walk, as people take it, with every conversion in the emulated Lambda instead of a worker."""

import json
import os
import threading

import pytest
from playwright.sync_api import expect

from portal.seaweed import free_port
from tests.aws import emulated
from tests.aws.fake_lambda import FakeLambda
from tests.browser.conftest import running, sign_in
from tests.browser.test_walk import (  # noqa: F401 - run here once more, over the `demo` below
    clip,
    phone_files,
    test_a_generated_clip_takes_the_whole_walk,
    test_real_phone_videos_take_the_whole_walk,
    test_what_is_no_video_is_told_to_patient_and_admin,
)

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
