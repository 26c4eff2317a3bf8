"""What must hold before a worker may start."""

import copy

from django.core.checks import run_checks

from transcoding import checks


def found(messages):
    return [message.id for message in messages]


def test_here_all_is_well(store):
    assert checks.check_ffmpeg() == checks.check_queue() == checks.check_bucket() == []


def test_a_missing_ffmpeg_is_an_error(monkeypatch):
    monkeypatch.setenv("FFMPEG_PATH", "/nowhere/ffmpeg")

    (error,) = checks.check_ffmpeg()

    assert error.id == "transcoding.E001"
    assert "/nowhere/ffmpeg" in error.msg
    assert "FFMPEG_PATH" in error.hint


def test_a_missing_ffprobe_is_an_error(monkeypatch):
    monkeypatch.setenv("FFPROBE_PATH", "/nowhere/ffprobe")

    assert found(checks.check_ffmpeg()) == ["transcoding.E001"]


def test_an_ffmpeg_that_is_too_old_is_an_error(monkeypatch, tmp_path):
    old = tmp_path / "ffmpeg"
    old.write_text("#!/bin/sh\necho ffmpeg version 4.3.9\n")
    old.chmod(0o755)
    monkeypatch.setenv("FFMPEG_PATH", str(old))

    (error,) = checks.check_ffmpeg()

    assert "4.3.9" in error.msg


def test_a_queue_that_hands_out_running_tasks_again_is_an_error(settings):
    settings.Q_CLUSTER = copy.deepcopy(settings.Q_CLUSTER)
    settings.Q_CLUSTER["ALT_CLUSTERS"]["video"]["retry"] = 3600
    settings.Q_CLUSTER["ALT_CLUSTERS"]["video"]["timeout"] = 3600

    (error,) = checks.check_queue()

    assert error.id == "transcoding.E002"
    assert "video" in error.msg


def test_the_base_cluster_is_looked_at_too(settings):
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "retry": 1}

    assert "transcoding.E002" in found(checks.check_queue())


def test_an_unreachable_bucket_is_an_error_before_deployment(unreachable_store):
    (error,) = checks.check_bucket()

    assert error.id == "transcoding.E003"
    assert "S3_ENDPOINT" in error.hint


def test_a_bucket_that_is_not_there_is_an_error(store, settings):
    settings.S3_BUCKET = "another-bucket"
    checks.object_store.cache_clear()
    try:
        assert found(checks.check_bucket()) == ["transcoding.E003"]
    finally:
        checks.object_store.cache_clear()


def test_ordinary_checks_do_not_ask_the_store(unreachable_store):
    assert "transcoding.E003" not in found(run_checks())
    assert "transcoding.E003" in found(run_checks(include_deployment_checks=True))
