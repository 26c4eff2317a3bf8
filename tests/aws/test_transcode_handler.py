"""The transcode function against a real store: events in, objects beside the source, nothing twice."""

import json

import pytest

from tests.aws.support import KEY, FakeContext, bridged, native, queued
from transcoding.aws import settings
from transcoding.aws import transcode_handler as module
from transcoding.aws.events import NotUnderstood
from transcoding.aws.reports import SOURCE_ETAG, Answer, News
from transcoding.aws.transcode_handler import handler
from transcoding.engine.contracts import Extras, TranscodeRequest, TranscodeResult
from transcoding.engine.errors import StoreUnavailable

STEM = KEY.removesuffix(".mov")
RESULT, MP4 = f"{STEM}.result.json", f"{STEM}.web.mp4"
OTHER = f"e5fa44f2b31c0d99/{'ab12cd34' * 5}.mp4"


@pytest.fixture
def filled(store, function_environment, short_clip):
    store.put(KEY, short_clip.read_bytes(), "video/quicktime")
    return store


class FakePortal:
    """Says what it is told to say, and remembers what it was told."""

    def __init__(self, *answers):
        self.heard = []
        self.answers = list(answers)

    def tell(self, report):
        self.heard.append(report)
        return self.answers.pop(0) if self.answers else Answer(accepted=True)

    @property
    def news(self):
        return [report.news for report in self.heard]


@pytest.fixture
def portal(monkeypatch):
    def make(*answers):
        portal = FakePortal(*answers)
        monkeypatch.setattr(module, "_portal", lambda: portal)
        return portal

    return make


@pytest.fixture
def conversions(monkeypatch):
    """The requests that came as far as the engine."""
    seen, real = [], module.transcode

    def count(request, *others):
        seen.append(request)
        return real(request, *others)

    monkeypatch.setattr(module, "transcode", count)
    return seen


def result_of(store):
    return TranscodeResult.from_json(store.read(RESULT))


def metrics(output):
    return [line for line in map(json.loads, output.splitlines()) if "_aws" in line]


@pytest.mark.parametrize("event", [native(KEY), bridged(KEY), queued(bridged(KEY))])
def test_an_arrival_becomes_an_mp4_beside_it(filled, event):
    answer = handler(event, FakeContext())

    assert answer in (
        {"batchItemFailures": []},
        {"outcomes": [{"outcome": "succeeded", "code": None, "job": result_of(filled).job}]},
    )
    assert {KEY, MP4, RESULT, f"{STEM}.poster.jpg"} <= set(filled.keys())
    assert result_of(filled).extras == Extras.DONE


def test_what_it_makes_is_encrypted_and_says_what_it_was_made_of(filled):
    handler(bridged(KEY), FakeContext())

    head = filled.client.head_object(Bucket=filled.bucket, Key=MP4)
    source = filled.describe(KEY)
    assert (head["ContentType"], head["ServerSideEncryption"]) == ("video/mp4", "AES256")
    assert head["ContentDisposition"] == "inline"
    assert head["Metadata"][SOURCE_ETAG] == source.etag
    assert head["Metadata"]["portal-job"] == result_of(filled).job


def test_how_it_is_stored_comes_from_the_environment(function_environment):
    plain = settings.store_config()
    assert plain.put_parameters == {"ServerSideEncryption": "AES256"}
    function_environment(S3_ACL="private", S3_ENCRYPTION="aws:kms", S3_KMS_KEY="key-1")
    assert settings.store_config().put_parameters == {
        "ACL": "private",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "key-1",
    }


def test_a_request_is_done_as_it_asks(filled):
    request = TranscodeRequest(job="job-1", attempt=2, source_key=KEY, mp4_key_style="plain")

    assert handler(json.loads(request.to_json()), FakeContext())["outcomes"][0]["outcome"] == "succeeded"

    assert (result_of(filled).job, result_of(filled).attempt) == ("job-1", 2)
    assert f"{STEM}.mp4" in set(filled.keys())


def test_the_same_version_is_converted_once(filled, conversions):
    for _ in range(3):
        handler(queued(bridged(KEY)), FakeContext())

    assert len(conversions) == 1


def test_another_version_of_the_source_is_converted_anew(filled, conversions):
    handler(bridged(KEY), FakeContext())
    filled.put(KEY, b"no video any more", "video/quicktime")
    handler(bridged(KEY), FakeContext())

    assert len(conversions) == 2
    assert result_of(filled).code == "not_a_video"


def test_a_new_attempt_at_the_same_version_is_made_and_the_same_attempt_is_not(filled, conversions):
    request = {"job": "job-1", "attempt": 1, "source_key": KEY}
    handler(request, FakeContext())
    handler(request, FakeContext())
    handler({**request, "attempt": 2}, FakeContext())

    assert [asked.attempt for asked in conversions] == [1, 2]


def test_an_unfinished_result_is_finished(filled, conversions):
    handler(bridged(KEY), FakeContext())
    pending = result_of(filled).to_json().replace('"extras":"done"', '"extras":"pending"')
    etag = filled.describe(KEY).etag
    filled.client.put_object(Bucket=filled.bucket, Key=RESULT, Body=pending, Metadata={SOURCE_ETAG: etag})

    handler(bridged(KEY), FakeContext())

    assert len(conversions) == 2
    assert result_of(filled).extras == Extras.DONE


@pytest.mark.parametrize(
    "key",
    [
        MP4,
        RESULT,
        f"{STEM}.poster.jpg",
        f"{STEM}.storyboard.vtt",
        "no-reference.mov",
        "e5fa44f2b31c0d99/letter.pdf",
        "e5fa44f2b31c0d99/deep/er.mov",
        "../e5fa44f2b31/x.mov",
    ],
)
def test_what_is_no_source_is_ignored(function_environment, store, conversions, key):
    assert handler(queued(bridged(key)), FakeContext()) == {"batchItemFailures": []}
    assert conversions == []


def test_our_own_output_in_the_plain_style_is_known_by_its_metadata(filled, conversions):
    handler({"job": "j", "source_key": KEY, "mp4_key_style": "plain"}, FakeContext())
    handler(bridged(f"{STEM}.mp4"), FakeContext())

    assert len(conversions) == 1


def test_another_bucket_is_none_of_ours(filled, conversions):
    assert handler(bridged(KEY, bucket="another"), FakeContext()) == {"outcomes": []}
    assert conversions == []


@pytest.mark.parametrize(
    "name", ["IMG_7042.MOV", "clip.Mp4", "clip.m4v", "clip.3gp", "clip.webm", "two words.mov"]
)
def test_names_of_phones_and_of_people_with_a_bucket_are_sources(
    function_environment, store, conversions, name
):
    key = f"e5fa44f2b31c0d99/{name}"
    store.put(key, b"text", "video/quicktime")

    handler(native(key), FakeContext())

    assert [request.source_key for request in conversions] == [key]


def test_bad_input_is_a_result_and_the_queue_stays_empty(store, function_environment):
    store.put(KEY, b"Dear doctor", "video/quicktime")

    assert handler(queued(bridged(KEY)), FakeContext()) == {"batchItemFailures": []}
    assert result_of(store).code == "not_a_video"


def test_one_fault_is_none_of_the_others(filled, short_clip, monkeypatch):
    filled.put(OTHER, short_clip.read_bytes(), "video/mp4")
    real = module.transcode

    def fail_for_one(request, *others):
        if request.source_key == KEY:
            raise StoreUnavailable("away")
        return real(request, *others)

    monkeypatch.setattr(module, "transcode", fail_for_one)
    answer = handler(queued(bridged(KEY), "no JSON", bridged(OTHER)), FakeContext())

    failed = [entry["itemIdentifier"] for entry in answer["batchItemFailures"]]
    assert failed == ["message-1", "message-2"]
    assert f"{OTHER.removesuffix('.mp4')}.web.mp4" in set(filled.keys())


def test_a_fault_outside_of_a_queue_is_raised_so_that_lambda_tries_again(filled, monkeypatch):
    def away(*args):
        raise StoreUnavailable("away")

    monkeypatch.setattr(module, "transcode", away)
    with pytest.raises(StoreUnavailable):
        handler(bridged(KEY), FakeContext())
    with pytest.raises(NotUnderstood):
        handler({"hello": "world"}, FakeContext())


def test_an_object_that_is_gone_is_no_fault(function_environment, store):
    assert handler(queued(bridged(KEY)), FakeContext()) == {"batchItemFailures": []}
    assert list(store.keys()) == []


def test_ffmpegs_time_ends_before_the_functions(filled, conversions):
    handler(bridged(KEY), FakeContext(seconds=100))

    assert 70 < conversions[0].limits.seconds <= 80


def test_with_no_time_left_nothing_is_begun(filled, conversions):
    answer = handler(queued(bridged(KEY)), FakeContext(seconds=20))

    assert answer["batchItemFailures"] == [{"itemIdentifier": "message-1"}]
    assert conversions == []


def test_out_of_time_is_a_result_since_another_try_would_end_the_same(filled, monkeypatch):
    context = FakeContext()

    def never_ends(request, store, workdir, on_progress, on_ready):
        context._end = 0.0
        on_progress(0.4)

    monkeypatch.setattr(module, "transcode", never_ends)

    assert handler(queued(bridged(KEY)), context) == {"batchItemFailures": []}
    assert result_of(filled).code == "timed_out"


def test_a_source_larger_than_the_disk_takes_is_refused_unfetched(filled, monkeypatch):
    usage = type(module.shutil.disk_usage("/"))
    small = module._ROOM + 2 * 1000
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(small, 0, small))
    monkeypatch.setattr(module._MarkingStore, "download", lambda *args: pytest.fail("It was fetched."))

    handler(queued(bridged(KEY)), FakeContext())

    assert result_of(filled).code == "too_large"


def test_what_a_killed_environment_left_is_removed(filled, tmp_path):
    left = tmp_path / "tmp" / "transcode-left"
    left.mkdir()
    (left / "source").write_bytes(b"somebody's video")

    handler(bridged(KEY), FakeContext())

    assert not left.exists()


def test_the_portal_hears_begin_ready_and_done(filled, portal):
    told = portal()

    handler(bridged(KEY), FakeContext())

    assert told.news == [News.BEGIN, News.RESULT, News.RESULT]
    first, ready, done = told.heard
    assert (first.source_key, first.source_size) == (KEY, filled.size(KEY))
    assert (ready.result.extras, done.result.extras) == (Extras.PENDING, Extras.DONE)


def test_what_the_portal_says_is_done_under_its_name(filled, portal):
    request = TranscodeRequest(job="of-the-portal", attempt=3, source_key=KEY)
    told = portal(Answer(accepted=True, request=request))

    handler(bridged(KEY), FakeContext())

    assert (result_of(filled).job, result_of(filled).attempt) == ("of-the-portal", 3)
    assert {report.job for report in told.heard[1:]} == {"of-the-portal"}


def test_what_the_portal_does_not_want_is_left_alone(filled, portal, conversions):
    portal(Answer(accepted=False))

    assert handler(queued(bridged(KEY)), FakeContext()) == {"batchItemFailures": []}
    assert conversions == []


def test_a_job_that_was_taken_away_meanwhile_publishes_nothing_more(filled, portal):
    portal(Answer(accepted=True), Answer(accepted=False))

    assert handler(queued(bridged(KEY)), FakeContext()) == {"batchItemFailures": []}
    assert f"{STEM}.storyboard.jpg" not in set(filled.keys())


def test_a_portal_that_does_not_answer_stops_nothing(filled, portal):
    portal(None, None, None)

    handler(bridged(KEY), FakeContext())

    assert result_of(filled).extras == Extras.DONE


def test_a_repeated_event_repeats_the_result_to_the_portal(filled, portal):
    handler(bridged(KEY), FakeContext())
    told = portal()

    handler(bridged(KEY), FakeContext())

    assert told.news == [News.RESULT]


def test_a_fault_is_told_to_the_portal_in_our_own_words_alone(filled, portal, monkeypatch):
    def fail(*args):
        raise OSError("/var/secret/path")

    monkeypatch.setattr(module, "transcode", fail)
    told = portal()
    handler(queued(bridged(KEY)), FakeContext())

    assert (told.heard[-1].news, told.heard[-1].detail) == (News.FAULT, "OSError")


def test_metrics_and_logs_name_no_key(filled, function_output, caplog):
    handler(bridged(KEY), FakeContext())

    output = function_output()
    (line,) = metrics(output)
    directive = line["_aws"]["CloudWatchMetrics"][0]
    assert {metric["Name"] for metric in directive["Metrics"]} >= {"Runs", "Duration", "BytesIn", "BytesOut"}
    assert all(metric["Name"] in line for metric in directive["Metrics"])
    assert line["Outcome"] == "succeeded"
    said = output + "".join(
        str(vars(record)) for record in caplog.records if record.name.startswith("transcoding")
    )
    assert "7448d879" not in said
