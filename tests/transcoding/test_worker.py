"""The local worker: a real conversion, from the task to the bucket and back."""

import signal
import subprocess
import threading
import time

import pytest
from django.utils import timezone

from tests.conftest import make_job
from transcoding import worker
from transcoding.engine.binaries import find_ffmpeg
from transcoding.engine.contracts import TranscodeResult
from transcoding.engine.keys import result_key
from transcoding.models import AttemptOutcome, Extras, Status, TranscodeAttempt, TranscodeJob
from transcoding.store import object_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def work(settings, tmp_path):
    settings.WORK_DIR = tmp_path / "work"
    settings.WORK_DIR.mkdir()
    return settings.WORK_DIR


@pytest.fixture
def job_for(store, work):
    """`job_for(bytes)`: a waiting job whose source holds them."""

    def make(content):
        job = make_job()
        store.put(job.source_key, content, "video/quicktime")
        return job

    return make


@pytest.fixture(scope="session")
def slow_clip(tmp_path_factory):
    """Long enough that something can happen while it is converted."""
    path = tmp_path_factory.mktemp("clips") / "slow.mov"
    picture = ["-f", "lavfi", "-i", "testsrc2=size=640x480:rate=30:duration=25"]
    program = [find_ffmpeg().path, "-nostdin", "-v", "error"]
    subprocess.run([*program, *picture, "-c:v", "mpeg4", "-q:v", "9", path], check=True, timeout=60)
    return path.read_bytes()


def test_a_clip_becomes_an_mp4_and_a_poster(job_for, short_clip, store, work):
    job = job_for(short_clip.read_bytes())

    assert worker.convert(str(job.pk)) == "succeeded"

    job.refresh_from_db()
    stem = job.source_key.removesuffix(".mov")
    made = {one.kind: one for one in job.renditions.all()}
    assert (job.status, job.attempt, job.progress) == (Status.SUCCEEDED, 1, 1.0)
    made_of_it = (
        "web.mp4",
        "poster.jpg",
        "frames.json.gz",
        "storyboard.jpg",
        "storyboard.vtt",
        "result.json",
    )
    assert set(store.keys()) == {job.source_key, *(f"{stem}.{ending}" for ending in made_of_it)}
    assert set(made) == {"mp4", "poster", "frame_index", "storyboard", "storyboard_index"}
    assert (job.extras, job.lease_expires_at) == (Extras.DONE, None)
    assert made["mp4"].object_key == f"{stem}.web.mp4"
    assert (made["mp4"].width, made["mp4"].height) == (160, 120)
    assert made["mp4"].duration == pytest.approx(1.0, abs=0.1)
    assert made["mp4"].size == store.size(f"{stem}.web.mp4")
    assert store.read(f"{stem}.poster.jpg").startswith(b"\xff\xd8\xff")
    assert list(work.iterdir()) == []


def test_what_it_stores_is_encrypted_and_of_the_right_type(job_for, short_clip, store):
    job = job_for(short_clip.read_bytes())
    worker.convert(str(job.pk))

    for made in job.renditions.all():
        found = store.client.head_object(Bucket=store.bucket, Key=made.object_key)
        assert (found["ContentType"], found["ServerSideEncryption"]) == (made.content_type, "AES256")


def test_the_result_file_says_what_the_database_says(job_for, short_clip, store):
    job = job_for(short_clip.read_bytes())
    worker.convert(str(job.pk))

    result = TranscodeResult.from_json(store.read(result_key(job.source_key)))
    job.refresh_from_db()
    assert (result.job, result.attempt, result.outcome) == (str(job.pk), 1, job.status)
    assert result.source_sha256 == job.source_sha256
    assert {one.key for one in result.outputs} == {one.object_key for one in job.renditions.all()}


def test_the_attempt_keeps_how_it_was_made(job_for, short_clip):
    worker.convert(str(job_for(short_clip.read_bytes()).pk))

    attempt = TranscodeAttempt.objects.get()
    assert attempt.outcome == AttemptOutcome.SUCCEEDED
    assert attempt.ffmpeg_version
    assert attempt.ffmpeg_arguments
    assert attempt.cpu_seconds > 0
    assert attempt.peak_memory > 0


def test_a_text_file_is_no_video(job_for, store, work):
    job = job_for(b"Dear clinic, here is my video.\n" * 100)

    assert worker.convert(str(job.pk)) == "failed"

    job.refresh_from_db()
    assert (job.status, job.failure_code) == (Status.FAILED, "not_a_video")
    assert not job.renditions.exists()
    assert set(store.keys()) == {job.source_key, result_key(job.source_key)}
    assert list(work.iterdir()) == []


def test_half_a_clip_is_damaged(job_for, short_clip):
    content = short_clip.read_bytes()
    job = job_for(content[: len(content) // 2])

    assert worker.convert(str(job.pk)) == "failed"
    job.refresh_from_db()
    assert job.failure_code == "damaged"


def test_a_source_that_is_gone_is_said_to_be_missing(store, work):
    job = make_job()

    assert worker.convert(str(job.pk)) == "failed"

    job.refresh_from_db()
    assert job.failure_code == "source_missing"
    assert list(store.keys()) == []


@pytest.mark.parametrize("status", [Status.RUNNING, Status.SUCCEEDED, Status.FAILED, Status.CANCELLED])
def test_a_task_that_comes_twice_does_nothing(status, store, work):
    job = make_job(status)

    assert worker.convert(str(job.pk)) == "nothing to do"
    assert not TranscodeAttempt.objects.exists()


def while_converting(act):
    """Do it from outside as soon as the conversion is under way."""

    def wait():
        deadline = time.monotonic() + 60
        while not TranscodeJob.objects.filter(status=Status.RUNNING, progress__gt=0.1).exists():
            assert time.monotonic() < deadline, "It was over before it could be seen."
            time.sleep(0.02)
        act()
        worker.connection.close()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_cancelled_job_stops_and_nothing_is_recorded(job_for, slow_clip, store, work, settings):
    settings.HEARTBEAT_SECONDS = 0.05
    job = job_for(slow_clip)
    now = timezone.now()

    thread = while_converting(
        lambda: job.move(Status.RUNNING, to=Status.CANCELLED, lease_expires_at=None, finished_at=now)
    )
    said = worker.convert(str(job.pk))
    thread.join()

    job.refresh_from_db()
    assert said == "lease lost"
    assert (job.status, job.facts) == (Status.CANCELLED, {})
    assert not job.renditions.exists()
    assert list(store.keys()) == [job.source_key]
    assert list(work.iterdir()) == []


def test_an_attempt_that_lost_its_lease_leaves_the_next_one_alone(job_for, slow_clip, store, settings):
    settings.HEARTBEAT_SECONDS = 0.05
    job = job_for(slow_clip)
    lease = timezone.now() + timezone.timedelta(hours=1)

    thread = while_converting(
        lambda: job.move(Status.RUNNING, to=Status.RUNNING, attempt=2, lease_expires_at=lease)
    )
    said = worker.convert(str(job.pk))
    thread.join()

    job.refresh_from_db()
    assert said == "lease lost"
    assert (job.status, job.attempt, job.lease_expires_at) == (Status.RUNNING, 2, lease)
    assert list(store.keys()) == [job.source_key]


def test_a_task_that_is_out_of_time_gives_its_job_back_at_once(job_for, slow_clip, store, work):
    """django-q2 ends a task that takes too long by an exception from a signal."""

    class OutOfTime(SystemExit):
        pass

    def stop(number, frame):
        raise OutOfTime

    job = job_for(slow_clip)
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.8)
    try:
        with pytest.raises(OutOfTime):
            worker.convert(str(job.pk))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    job.refresh_from_db()
    assert (job.status, job.lease_expires_at) == (Status.QUEUED, None)
    assert TranscodeAttempt.objects.get().detail == "OutOfTime"
    assert list(store.keys()) == [job.source_key]
    assert list(work.iterdir()) == []


def test_a_dead_store_is_a_fault_and_the_job_waits_for_another_try(work, unreachable_store):
    job = make_job()

    with pytest.raises(Exception, match="head_object"):
        worker.convert(str(job.pk))

    job.refresh_from_db()
    attempt = TranscodeAttempt.objects.get()
    assert job.status == Status.QUEUED
    assert job.available_at > timezone.now()
    assert attempt.outcome == AttemptOutcome.FAULT
    assert attempt.detail.startswith("StoreError")
    assert job.source_key not in attempt.detail
    assert list(work.iterdir()) == []


def test_after_a_fault_the_next_try_succeeds(job_for, short_clip, unreachable_store, settings, store):
    job = job_for(short_clip.read_bytes())
    with pytest.raises(Exception, match="head_object"):
        worker.convert(str(job.pk))
    settings.S3_ENDPOINT = store.config.endpoint
    object_store.cache_clear()
    TranscodeJob.objects.update(available_at=timezone.now())

    assert worker.convert(str(job.pk)) == "succeeded"
    assert [one.outcome for one in job.attempts.all()] == [AttemptOutcome.FAULT, AttemptOutcome.SUCCEEDED]


def test_what_a_killed_worker_left_on_the_disk_is_removed(job_for, work):
    running = make_job(Status.RUNNING, attempt=1, lease_expires_at=timezone.now())
    finished = make_job(Status.SUCCEEDED, attempt=1)
    kept = work / f"{running.pk}.1"
    left = [work / f"{running.pk}.0", work / f"{finished.pk}.1"]
    for folder in [kept, *left]:
        folder.mkdir()
        (folder / "source").write_bytes(b"somebody's video")

    worker.convert(str(job_for(b"no video").pk))

    assert list(work.iterdir()) == [kept]


def test_something_else_in_the_work_folder_does_no_harm(job_for, work):
    (work / ".hidden").touch()
    (work / "not-ours.txt").touch()
    (work / "lost.found").mkdir()

    assert worker.convert(str(job_for(b"no video").pk)) == "failed"
