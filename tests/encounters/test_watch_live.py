"""Watching a video before it is converted: who may, what comes, and that nothing runs on unseen."""

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from django.utils import timezone

from encounters.models import AccessRecord, Verb
from tests.encounters.support import make_renditions, make_video
from tests.transcoding.engine.support import eventually, processes_in
from transcoding import live
from transcoding.models import Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def slots(settings, tmp_path):
    settings.WORK_DIR = tmp_path / "work"
    settings.LIVE_STREAMS = 1
    live._slots.cache_clear()
    live._folder.cache_clear()
    yield
    live._slots.cache_clear()
    live._folder.cache_clear()


@pytest.fixture
def video(encounter, store, short_clip):
    found = make_video(encounter, "knee.mov", Status.QUEUED)
    store.put(found.source_key, short_clip.read_bytes(), "video/quicktime")
    return found


def fetch(user, video, pieces=None):
    """(answer, content): all of it, or the first pieces, after which the client leaves."""

    async def get():
        client = AsyncClient()
        if user:
            await client.aforce_login(user)
        answer = await client.get(f"/videos/{video.pk}/live.mp4")
        content = b""
        if answer.streaming:
            count = 0
            async for piece in answer.streaming_content:
                content += piece
                count += 1
                if count == pieces:
                    break
            answer.close()
        return answer, content

    return async_to_sync(get)()


def is_idle():
    return live._slots()._value == 1 and processes_in(live._folder()) == []


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
def test_it_comes_as_one_mp4_while_the_job_waits_or_runs(video, alice, status):
    if status == Status.RUNNING:
        video.job.move(Status.QUEUED, to=Status.RUNNING, lease_expires_at=timezone.now())
    answer, content = fetch(alice, video)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert content[4:8] == b"ftyp"
    assert b"moof" in content
    assert eventually(is_idle)


def test_a_client_that_leaves_ends_it(video, alice):
    fetch(alice, video, pieces=1)
    assert eventually(is_idle)
    assert list(live._folder().iterdir()) == []


def test_once_it_is_converted_the_real_one_is_given(video, alice):
    video.job.move(Status.QUEUED, to=Status.RUNNING, lease_expires_at=video.created_at)
    video.job.move(
        Status.RUNNING,
        to=Status.SUCCEEDED,
        lease_expires_at=None,
        finished_at=video.created_at,
        extras="done",
    )
    make_renditions(video)

    answer, _ = fetch(alice, video)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/videos/{video.pk}/play")


def test_viewing_is_recorded(video, alice):
    fetch(alice, video)
    fetch(alice, video)
    record = AccessRecord.objects.get(verb=Verb.VIDEO_PLAYED)
    assert (record.user, record.video) == (alice, video)


def test_a_colleague_may_and_nobody_else(video, bob, charlie, admin):
    assert fetch(bob, video)[0].status_code == 200
    assert fetch(charlie, video)[0].status_code == 404
    assert fetch(admin, video)[0].status_code == 403
    assert fetch(None, video)[0].status_code == 302
    assert AccessRecord.objects.filter(verb=Verb.VIDEO_PLAYED).count() == 1


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED, None])
def test_what_neither_waits_nor_runs_is_not_shown(encounter, store, alice, status):
    answer, _ = fetch(alice, make_video(encounter, "knee.mov", status))
    assert answer.status_code == 404


def test_what_cannot_be_shown_is_said_in_words(video, alice, store):
    store.put(video.source_key, b"Dear doctor", "video/quicktime")
    answer, _ = fetch(alice, video)
    assert answer.status_code == 422
    assert live.NotWatchable.message in answer.content.decode()
    assert eventually(is_idle)


def test_no_more_at_once_than_the_machine_can_make(video, alice):
    assert live._slots().acquire(blocking=False)
    answer, _ = fetch(alice, video)
    assert answer.status_code == 503
    live._slots().release()
    assert fetch(alice, video)[0].status_code == 200


def test_what_a_killed_process_left_is_removed(video, alice):
    left = live.settings.WORK_DIR / "live-999999999" / "stream-x"
    left.mkdir(parents=True)
    (left / "head").write_bytes(b"somebody's video")
    fetch(alice, video)
    assert not left.parent.exists()


def test_the_page_offers_it_while_it_can_be_had(video, staff_client, settings):
    page = staff_client.get(f"/videos/{video.pk}/").content.decode()
    assert f'data-watch-live="/videos/{video.pk}/live.mp4"' in page
    settings.LIVE_STREAMS = 0
    assert "data-watch-live" not in staff_client.get(f"/videos/{video.pk}/").content.decode()
