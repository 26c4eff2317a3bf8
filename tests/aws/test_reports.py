"""Reports arrive as they were sent, and signatures hold for what they were made."""

import time

import pytest

from tests.aws.support import KEY, SECRET
from transcoding.aws import reports
from transcoding.aws.callback import Portal
from transcoding.aws.reports import Answer, News, Report, SignatureRefused, signed, verify
from transcoding.aws.settings import Misconfigured
from transcoding.engine.contracts import FailureCode, Outcome, TranscodeRequest, TranscodeResult

KEYS = {"transcode": SECRET, "next": SECRET[::-1]}
BODY = b'{"news":"begin"}'


def test_a_report_and_its_answer_survive_the_journey():
    result = TranscodeResult(job="j", attempt=1, outcome=Outcome.FAILED, code=FailureCode.DAMAGED)
    report = Report(news=News.RESULT, source_key=KEY, source_etag="e", source_size=3, result=result)
    answer = Answer(accepted=True, request=TranscodeRequest(job="j", source_key=KEY))

    assert Report.from_json(report.to_json()) == report
    assert Answer.from_json(answer.to_json()) == answer


@pytest.mark.parametrize("name", list(KEYS))
def test_any_of_the_keys_will_do(name):
    headers = signed(BODY, key=name, secret=KEYS[name])

    assert verify(headers, BODY, KEYS) == headers[reports.NONCE]


def test_no_two_signatures_are_the_same():
    first, second = (signed(BODY, key="transcode", secret=SECRET) for _ in range(2))
    assert first[reports.NONCE] != second[reports.NONCE]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({reports.KEY: "nobody"}, "unknown key"),
        ({reports.KEY: ""}, "unknown key"),
        ({reports.KEY: "next"}, "wrong signature"),
        ({reports.SIGNATURE: "0" * 64}, "wrong signature"),
        ({reports.SIGNATURE: ""}, "wrong signature"),
        ({reports.SIGNATURE: "é"}, "wrong signature"),
        ({reports.NONCE: "0" * 32}, "wrong signature"),
        ({reports.TIMESTAMP: "1"}, "wrong signature"),
    ],
)
def test_what_was_changed_is_refused(change, reason):
    headers = signed(BODY, key="transcode", secret=SECRET) | change

    with pytest.raises(SignatureRefused, match=reason):
        verify(headers, BODY, KEYS)


def test_another_body_is_refused():
    with pytest.raises(SignatureRefused, match="wrong signature"):
        verify(signed(BODY, key="transcode", secret=SECRET), BODY + b" ", KEYS)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_time_stamp_outside_of_the_window_is_refused(monkeypatch, seconds):
    then = time.time() + seconds
    monkeypatch.setattr(reports.time, "time", lambda: then)
    headers = signed(BODY, key="transcode", secret=SECRET)
    monkeypatch.undo()

    with pytest.raises(SignatureRefused, match="old time stamp"):
        verify(headers, BODY, KEYS)


def test_nobody_is_told_a_secret_in_the_clear():
    with pytest.raises(Misconfigured):
        Portal("http://portal.example", key="transcode", secret=SECRET)
