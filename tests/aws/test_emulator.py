"""The transcode function under AWS's Runtime Interface Emulator, its answers as Lambda would give them."""

import pytest

from tests.aws import tools
from tests.aws.emulated import Emulated, environment
from tests.aws.support import KEY, bridged, queued
from transcoding.engine.contracts import TranscodeResult

pytestmark = pytest.mark.slow
WRAPPER = tools.TEMPLATE.with_name("stream-runtime")
RESULT = KEY.replace(".mov", ".result.json")


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def function(store, folder):
    with Emulated(environment(folder / "tmp"), folder) as running:
        yield running


def test_a_video_is_converted(function, store, short_clip):
    store.put(KEY, short_clip.read_bytes(), "video/quicktime")

    status, answer = function.invoke(queued(bridged(KEY)))

    assert (status, answer) == (200, {"batchItemFailures": []})
    assert store.read(KEY.replace(".mov", ".web.mp4"))[4:8] == b"ftyp"
    assert TranscodeResult.from_json(store.read(RESULT)).outcome == "succeeded"
    assert '"Outcome": "succeeded"' in function.log
    assert "REPORT RequestId" in function.log
    assert "7448d879" not in function.log
    again = function.invoke(bridged(KEY))
    assert again[1]["outcomes"][0]["outcome"] == "answered from the result file"


def test_bad_input_is_an_answer_and_no_fault(function, store):
    store.put(KEY, b"Dear doctor", "video/quicktime")

    assert function.invoke(queued(bridged(KEY))) == (200, {"batchItemFailures": []})
    assert TranscodeResult.from_json(store.read(RESULT)).code == "not_a_video"


def test_an_event_of_no_kind_is_a_functions_error(function):
    status, answer = function.invoke({"hello": "world"})
    assert (status, answer["errorType"]) == (200, "NotUnderstood")


def test_a_function_that_takes_too_long_is_ended_by_lambda(store, folder, short_clip):
    """Below the time that it needs to begin, it says so itself, and the message comes again."""
    store.put(KEY, short_clip.read_bytes(), "video/quicktime")
    with Emulated(environment(folder / "tmp"), folder, seconds=20) as function:
        _, answer = function.invoke(queued(bridged(KEY)))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert list((folder / "tmp").iterdir()) == []


def test_lambda_ends_what_hangs(folder):
    (folder / "hanging.py").write_text("import time\n\n\ndef handler(event, context):\n    time.sleep(60)\n")
    with Emulated(environment(folder / "tmp"), folder, handler="hanging.handler", seconds=2) as function:
        _, answer = function.invoke({})
    assert "timed out" in str(answer)


def test_a_wrong_setting_is_told_at_the_first_event(store, folder):
    with Emulated(environment(folder / "tmp", BUCKET=""), folder) as function:
        status, answer = function.invoke(bridged(KEY))
    assert (status, answer["errorType"]) == (200, "Misconfigured")


def test_a_handler_that_cannot_be_imported_is_an_init_error(folder):
    with Emulated(environment(folder / "tmp"), folder, handler="no.such.handler") as function:
        status, answer = function.invoke({})
    assert (status, answer["errorType"]) in (
        (502, "Runtime.ImportModuleError"),
        (200, "Runtime.ImportModuleError"),
    )


def test_the_streaming_runtime_starts_as_lambda_would_start_it(store, folder, short_clip):
    """By the wrapper that is deployed. The emulator gathers the stream and drops its trailers."""
    store.put(KEY, short_clip.read_bytes(), "video/quicktime")
    settings = environment(
        folder / "tmp",
        LAMBDA_TASK_ROOT=str(tools.TEMPLATE.parents[2]),
        PATH=f"{tools.FOLDER / 'bin'}:/usr/bin:/bin",
    )
    handler = "transcoding.aws.stream_handler.handler"
    with Emulated(settings, folder, handler=handler, runtime=(str(WRAPPER),)) as function:
        request = {"http": {"method": "GET"}}
        status, answer = function.invoke({"rawQueryString": f"key={KEY}", "requestContext": request})
    assert status == 200
    assert '"statusCode": 200' in answer
    assert "ftyp" in answer
    assert "moof" in answer
