"""A worker is killed in the middle of a conversion, and another one finishes it."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from tests.conftest import make_job, tasks_waiting
from transcoding import worker
from transcoding.engine.binaries import find_ffmpeg
from transcoding.models import AttemptOutcome, Status, TranscodeJob
from transcoding.sweep import sweep

CONVERT = "import django, sys; django.setup(); from transcoding.worker import convert; convert(sys.argv[1])"


def database_url():
    """The address of the tests' database, for another process."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    user, password, host = (quote(found[part], safe="") for part in ("USER", "PASSWORD", "HOST"))
    return f"postgres://{user}:{password}@{host}:{found['PORT']}/{found['NAME']}"


def worker_process(job, work):
    environment = {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DEMO": "true",
        "VAR_DIR": str(settings.VAR_DIR),
        "WORK_DIR": str(work),
        "S3_PORT": str(settings.S3_PORT),
        "DATABASE_URL": database_url(),
    }
    return subprocess.Popen(
        [sys.executable, "-c", CONVERT, str(job.pk)],
        env={**os.environ, **environment},
        cwd=settings.BASE_DIR,
    )


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.05)


def children_of(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def has_ended(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.fixture
def long_clip(tmp_path):
    path = tmp_path / "long.mov"
    picture = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=30"]
    program = [find_ffmpeg().path, "-nostdin", "-v", "error"]
    subprocess.run([*program, *picture, "-c:v", "mpeg4", "-q:v", "9", path], check=True, timeout=120)
    return path


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_another_worker_finishes_what_a_killed_one_began(store, long_clip, tmp_path, settings):
    settings.WORK_DIR = tmp_path / "work"
    job = make_job()
    store.upload(long_clip, job.source_key, "video/quicktime", {})
    process = worker_process(job, settings.WORK_DIR)
    running = TranscodeJob.objects.filter(pk=job.pk, status=Status.RUNNING)
    wait_for(lambda: running.exists() and children_of(process.pid))
    (converter,) = children_of(process.pid)

    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: has_ended(converter), seconds=5)
    running.update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    sweep()

    assert tasks_waiting() == [(str(job.pk),)]
    assert worker.convert(str(job.pk)) == "succeeded"
    job.refresh_from_db()
    assert (job.status, job.attempt) == (Status.SUCCEEDED, 2)
    assert [one.outcome for one in job.attempts.all()] == [AttemptOutcome.LOST, AttemptOutcome.SUCCEEDED]
    mp4s = [key for key in list(store.keys()) if key.endswith(".mp4")]
    assert mp4s == [job.source_key.replace(".mov", ".web.mp4")]
    assert list(settings.WORK_DIR.iterdir()) == []
