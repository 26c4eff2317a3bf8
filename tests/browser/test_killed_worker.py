"""Kill -9 in the middle of a conversion: another worker finishes it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from transcoding.engine.binaries import find_ffmpeg

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SEND = """
from pathlib import Path
from encounters.callers import Caller
from encounters.models import Encounter
from portal.accounts.models import User
from portal.demo import send_file
send_file(caller=Caller(user=User.objects.get(email="clinician@clinic.example")),
          encounter=Encounter.objects.order_by("pk").first(), path=Path({path!r}), filename="LONG.MOV")
"""
STATE = """
import json
from encounters.models import Video
job = next(video.job for video in Video.objects.with_job() if video.original_name == "LONG.MOV")
print(json.dumps({"status": job.status, "attempt": job.attempt, "progress": job.progress,
                  "outcomes": [a.outcome for a in job.attempts.order_by("number")],
                  "details": [a.detail for a in job.attempts.order_by("number")],
                  "source_key": job.source_key, "kinds": [r.kind for r in job.renditions.all()]}))
"""


def state(demo):
    return json.loads(demo.manage(STATE))


def wait_for(demo, condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition(found := state(demo)):
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
    return found


def video_workers(demo):
    """Every process of the demo's `video` cluster but the shell that starts it anew."""
    wanted = {f"VAR_DIR={demo.environment['VAR_DIR']}", "Q_CLUSTER_NAME=video"}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = set((process / "environ").read_text().split("\0"))
        except OSError:
            continue
        if wanted <= environment:
            found.append(int(process.name))
    return found


def ffmpegs(demo):
    """Conversions under way on this machine that belong to the demo."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments, folder = (process / "cmdline").read_text(), (process / "cwd").readlink()
        except OSError:
            continue
        if "ffmpeg" in arguments.split("\0")[0] and demo.environment["VAR_DIR"] in f"{arguments}{folder}":
            found.append(int(process.name))
    return found


@pytest.fixture
def long_clip(tmp_path):
    path = tmp_path / "long.mov"
    source = "testsrc2=size=1280x720:rate=30:duration=30,noise=alls=20:allf=t"
    encode = ["-c:v", "mpeg4", "-q:v", "6", "-f", "mov", str(path)]
    command = [str(find_ffmpeg().path), "-nostdin", "-v", "error", "-f", "lavfi", "-i", source, *encode]
    subprocess.run(command, check=True)
    return path


def test_another_worker_finishes_what_a_killed_one_began(demo, long_clip):
    demo.manage(SEND.format(path=str(long_clip)))
    wait_for(demo, lambda job: job["status"] == "running" and job["progress"] > 0.02, 240)

    for pid in video_workers(demo):
        os.kill(pid, signal.SIGKILL)

    deadline = time.monotonic() + 20
    while ffmpegs(demo):
        assert time.monotonic() < deadline, "ffmpeg outlived its worker."
        time.sleep(0.5)
    assert state(demo)["status"] == "running"
    done = wait_for(demo, lambda job: job["attempt"] == 2 and "running" not in job["outcomes"], 600)
    assert (done["status"], done["attempt"], done["outcomes"]) == ("succeeded", 2, ["lost", "succeeded"])
    stem = done["source_key"].rpartition(".")[0]
    mp4s = [entry.key for entry in demo.bucket().objects.filter(Prefix=stem) if entry.key.endswith(".mp4")]
    assert mp4s == [f"{stem}.web.mp4"]
    assert list((Path(demo.environment["VAR_DIR"]) / "work").iterdir()) == []
