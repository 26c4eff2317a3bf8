"""The functions in this process, against the real object store."""

import pytest
from django.conf import settings

from tests.aws.support import SECRET
from transcoding.aws import settings as aws_settings
from transcoding.aws import stream_handler, transcode_handler

CACHED = (
    aws_settings.callback_secret,
    transcode_handler._start,
    transcode_handler._store,
    transcode_handler._portal,
    stream_handler._start,
    stream_handler._store,
    stream_handler._fetcher,
)


@pytest.fixture
def function_environment(store, monkeypatch, tmp_path):
    """What the template gives a function; `function_environment(NAME=value)` changes it."""
    work = tmp_path / "tmp"
    work.mkdir()

    def change(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))
        for cached in CACHED:
            cached.cache_clear()

    monkeypatch.setattr(transcode_handler.telemetry, "configure", lambda: None)
    change(
        BUCKET=store.bucket,
        S3_ENDPOINT=settings.S3_ENDPOINT,
        AWS_ACCESS_KEY_ID=settings.S3_ACCESS_KEY,
        AWS_SECRET_ACCESS_KEY=settings.S3_SECRET_KEY,
        AWS_REGION="us-east-1",
        WORK_DIR=work,
        CALLBACK_SECRET=SECRET,
    )
    yield change
    change()
    assert list(work.iterdir()) == []


@pytest.fixture
def function_output(capsys):
    """What CloudWatch would get since the last look."""
    return lambda: capsys.readouterr().out
