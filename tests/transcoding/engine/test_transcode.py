"""The one function: fetch, convert, publish, and what happens when any of it goes wrong."""

import hashlib
import json
import stat
from pathlib import Path

import pytest

from transcoding.engine import frames
from transcoding.engine import transcode as module
from transcoding.engine.contracts import (
    Extras,
    FailureCode,
    Limits,
    Outcome,
    OutputKind,
    TranscodeRequest,
    TranscodeResult,
    Treatment,
)
from transcoding.engine.convert import Conversion
from transcoding.engine.errors import BadInput, DiskFull, FfmpegMissing, StoreUnavailable, TransientFault
from transcoding.engine.messages import explain
from transcoding.engine.transcode import transcode
from transcoding.engine.verify import Verifier

from .support import (
    H264,
    LONG,
    MPEG4,
    SOURCE_KEY,
    Clip,
    FolderStore,
    Judge,
    Progress,
    eventually,
    processes_in,
)

STEM = SOURCE_KEY.removesuffix(".mov")
MP4, POSTER, RESULT = f"{STEM}.web.mp4", f"{STEM}.poster.jpg", f"{STEM}.result.json"
FRAMES, SHEET, SHEET_INDEX = f"{STEM}.frames.json.gz", f"{STEM}.storyboard.jpg", f"{STEM}.storyboard.vtt"
ALL = {SOURCE_KEY, MP4, POSTER, FRAMES, SHEET, SHEET_INDEX, RESULT}


def request(**changes: object) -> TranscodeRequest:
    return TranscodeRequest(**{"job": "job-1", "attempt": 2, "source_key": SOURCE_KEY, **changes})


@pytest.fixture
def filled(store: FolderStore, phone_clip: Path) -> FolderStore:
    store.put(SOURCE_KEY, phone_clip)
    return store


def test_mp4_poster_and_result_land_beside_the_source(filled, workdir, progress, judge: Judge):
    result = transcode(request(), filled, workdir, progress)
    assert (result.outcome, result.code, result.message) == (Outcome.SUCCEEDED, None, "")
    assert (result.job, result.attempt) == ("job-1", 2)
    assert filled.keys() == ALL
    video = judge.video(filled.folder / MP4)
    assert (video["codec_name"], video["width"], video["height"]) == ("h264", 320, 240)
    assert (result.video, result.audio) == (Treatment.COPY, Treatment.COPY)


def test_the_result_tells_what_was_made_and_of_what(filled, workdir, progress, phone_clip: Path):
    result = transcode(request(), filled, workdir, progress)
    mp4, poster = result.output(OutputKind.MP4), result.output(OutputKind.POSTER)
    assert mp4
    assert poster
    for output in (mp4, poster):
        content = filled.read(output.key)
        assert (output.size, output.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert (mp4.width, mp4.height, poster.width, poster.height) == (320, 240, 320, 240)
    assert mp4.duration == pytest.approx(1.0, abs=0.1)
    assert result.source_size == phone_clip.stat().st_size
    assert result.source_sha256 == hashlib.sha256(phone_clip.read_bytes()).hexdigest()
    assert result.ffmpeg_version
    assert "copy" in result.ffmpeg_arguments
    assert result.seconds > 0
    assert result.cpu_seconds > 0
    assert result.peak_memory > 10_000_000


def test_the_result_file_is_written_last_and_is_the_result(filled, workdir, progress):
    result = transcode(request(), filled, workdir, progress)
    assert [key for key, _, _ in filled.written] == [MP4, POSTER, FRAMES, RESULT, SHEET, SHEET_INDEX, RESULT]
    assert TranscodeResult.from_json(filled.read(RESULT)) == result


def test_every_object_has_its_type_and_says_who_made_it(filled, workdir, progress):
    transcode(request(), filled, workdir, progress)
    assert {key: kind for key, kind, _ in filled.written} == {
        MP4: "video/mp4",
        POSTER: "image/jpeg",
        FRAMES: "application/gzip",
        SHEET: "image/jpeg",
        SHEET_INDEX: "text/vtt",
        RESULT: "application/json",
    }
    assert {json.dumps(mark) for _, _, mark in filled.written} == {
        '{"portal-job": "job-1", "portal-made": "1"}'
    }


def test_it_is_ready_before_the_extras_are_made(filled, workdir, progress):
    told = []

    def on_ready(result: TranscodeResult) -> None:
        told.append((result, filled.keys(), TranscodeResult.from_json(filled.read(RESULT))))

    final = transcode(request(), filled, workdir, progress, on_ready)
    ((ready, stored, filed),) = told
    assert stored == {SOURCE_KEY, MP4, POSTER, FRAMES, RESULT}
    assert filed == ready
    assert (ready.outcome, ready.extras, final.extras) == (Outcome.SUCCEEDED, Extras.PENDING, Extras.DONE)
    assert [output.kind for output in final.outputs[:3]] == [output.kind for output in ready.outputs]
    assert final.outputs[:3] == ready.outputs
    assert final.source_sha256 == ready.source_sha256


def test_the_frame_index_tells_when_each_frame_is_shown(filled, workdir, progress, judge: Judge):
    transcode(request(), filled, workdir, progress)
    times = frames.read(filled.read(FRAMES))
    assert times == pytest.approx(judge.frame_times(filled.folder / MP4), abs=0.000_01)
    assert len(times) == 25


@pytest.mark.parametrize("codec", [H264, MPEG4], ids=["copied", "encoded"])
def test_the_storyboard_shows_the_film_and_its_index_every_second(
    store, workdir, progress, clip, judge, *, codec
):
    film = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10:duration=5")
    store.put(SOURCE_KEY, clip(f"five-{codec[1]}.mov", *film, *codec, "-g", "10"))
    result = transcode(request(), store, workdir, progress)
    sheet = result.output(OutputKind.STORYBOARD)
    assert sheet
    picture = judge.video(store.folder / SHEET)
    assert (sheet.width, sheet.height) == (picture["width"], picture["height"]) == (480, 240)
    cues = store.read(SHEET_INDEX).decode().split("\n\n")
    name = SHEET.rpartition("/")[2]
    assert cues[:2] == ["WEBVTT", f"00:00:00.000 --> 00:00:01.000\n{name}#xywh=0,0,160,120"]
    assert cues[4] == f"00:00:03.000 --> 00:00:04.000\n{name}#xywh=0,120,160,120"
    assert cues[5].startswith("00:00:04.000 --> 00:00:05.000")
    assert len(cues) == 6


def test_a_copy_that_cannot_be_decoded_whole_is_replaced(filled, workdir, progress, monkeypatch):
    first = []
    monkeypatch.setattr(Verifier, "decode_whole", lambda self, output: "[h264] concealing errors")
    result = transcode(request(), filled, workdir, progress, first.append)
    mp4 = result.output(OutputKind.MP4)
    assert mp4
    assert (first[0].video, result.video, result.swapped) == (Treatment.COPY, Treatment.ENCODE, True)
    assert mp4.sha256 == hashlib.sha256(filled.read(MP4)).hexdigest() != first[0].outputs[0].sha256
    assert any(reason.startswith("copy_swapped: ") for reason in result.reasons)
    assert len(result.outputs) == 5
    assert TranscodeResult.from_json(filled.read(RESULT)) == result


def test_a_copy_stays_where_nothing_better_can_be_made(filled, workdir, progress, monkeypatch):
    def fail(self: Conversion) -> None:
        raise BadInput(FailureCode.DAMAGED)

    first = []
    monkeypatch.setattr(Verifier, "decode_whole", lambda self, output: "[h264] concealing errors")
    monkeypatch.setattr(Conversion, "encode", fail)
    result = transcode(request(), filled, workdir, progress, first.append)
    assert (result.outcome, result.video, result.swapped) == (Outcome.SUCCEEDED, Treatment.COPY, False)
    assert result.outputs[:3] == first[0].outputs
    assert any(reason.startswith("copy_kept: ") for reason in result.reasons)


def test_a_lease_lost_at_the_extras_publishes_none(filled, workdir, progress):
    def lose(result: TranscodeResult) -> None:
        raise LeaseLostError

    with pytest.raises(LeaseLostError):
        transcode(request(), filled, workdir, progress, lose)
    assert filled.keys() == {SOURCE_KEY, MP4, POSTER, FRAMES, RESULT}


def test_the_plain_style_changes_the_key_of_the_mp4_alone(filled, workdir, progress):
    transcode(request(mp4_key_style="plain"), filled, workdir, progress)
    assert filled.keys() == ALL - {MP4} | {f"{STEM}.mp4"}


def test_no_one_can_tell_place_person_path_or_key_from_the_result(filled, workdir, progress):
    text = transcode(request(), filled, workdir, progress).to_json()
    for secret in ("52.52", "Secretmaker", "Mrs Example", "left knee", str(workdir), "/tmp", "phone.mov"):  # noqa: S108
        assert secret not in text


def test_progress_rises_from_nought_to_publishing(filled, workdir, progress: Progress):
    transcode(request(), filled, workdir, progress)
    assert progress.fractions == sorted(progress.fractions)
    assert progress.fractions[0] <= 0.15
    assert 0.95 <= progress.fractions[-1] <= 1.0


def test_the_work_is_done_in_a_folder_for_us_alone(filled, workdir, progress: Progress):
    modes = []

    def look(fraction: float) -> None:
        modes.extend(stat.S_IMODE(folder.stat().st_mode) for folder in workdir.iterdir())

    transcode(request(), filled, workdir, look)
    assert set(modes) == {0o700}


# Bad input


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", FailureCode.EMPTY), (b"Dear doctor, my knee", FailureCode.NOT_A_VIDEO)],
)
def test_bad_input_is_a_result_with_a_sentence_and_a_result_file(
    store, workdir, progress, tmp_path, *, content, code
):
    (tmp_path / "bad").write_bytes(content)
    store.put(SOURCE_KEY, tmp_path / "bad")
    result = transcode(request(), store, workdir, progress)
    assert (result.outcome, result.code, result.message) == (Outcome.FAILED, code, explain(code))
    assert (result.outputs, result.video) == ((), Treatment.NONE)
    assert store.keys() == {SOURCE_KEY, RESULT}
    assert TranscodeResult.from_json(store.read(RESULT)) == result


def test_a_source_that_is_gone_leaves_nothing_in_its_place(store, workdir, progress):
    result = transcode(request(), store, workdir, progress)
    assert result.code == FailureCode.SOURCE_MISSING
    assert store.keys() == set()


def test_a_source_that_goes_while_we_begin_is_missing_too(store, workdir, progress, monkeypatch):
    monkeypatch.setattr(store, "size", lambda key: 1000)
    assert transcode(request(), store, workdir, progress).code == FailureCode.SOURCE_MISSING


def test_too_large_a_source_is_never_fetched(filled, workdir, progress, monkeypatch):
    monkeypatch.setattr(filled, "download", lambda *args: pytest.fail("It was fetched."))
    result = transcode(request(limits=Limits(source_bytes=100)), filled, workdir, progress)
    assert result.code == FailureCode.TOO_LARGE


def test_a_failed_conversion_keeps_facts_and_log_for_the_admin(store, workdir, progress, clip: Clip):
    flat = clip("silent.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=1", *H264)
    content = flat.read_bytes()
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    broken = workdir.parent / "broken.mp4"
    broken.write_bytes(content[:start] + b"\xa5" * (end - start) + content[end:])
    store.put(SOURCE_KEY, broken)
    result = transcode(request(), store, workdir, progress)
    assert result.code == FailureCode.DAMAGED
    assert result.facts["video"][0]["codec"] == "h264"
    assert result.log_tail
    assert result.ffmpeg_arguments
    assert str(workdir) not in result.to_json()


# Faults, which another try could cure


def test_a_store_that_cannot_be_reached_is_raised(filled, workdir, progress, monkeypatch):
    def away(*args: object) -> None:
        raise StoreUnavailable("get_object")

    monkeypatch.setattr(filled, "download", away)
    with pytest.raises(TransientFault):
        transcode(request(), filled, workdir, progress)
    assert filled.keys() == {SOURCE_KEY}


def test_a_full_disk_is_raised_before_anything_is_fetched(filled, workdir, progress, monkeypatch):
    monkeypatch.setattr(filled, "download", lambda *args: pytest.fail("It was fetched."))
    usage = type(module.shutil.disk_usage(workdir))
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(DiskFull):
        transcode(request(), filled, workdir, progress)


def test_a_missing_ffmpeg_is_raised(filled, workdir, progress, monkeypatch):
    monkeypatch.setenv("FFMPEG_PATH", "/nonexistent/ffmpeg")
    with pytest.raises(FfmpegMissing):
        transcode(request(), filled, workdir, progress)
    assert filled.keys() == {SOURCE_KEY}


class LeaseLostError(Exception):
    pass


@pytest.mark.parametrize("error", [LeaseLostError(), SystemExit(1)])
def test_a_lost_lease_stops_ffmpeg_and_publishes_nothing(store, workdir, progress, clip: Clip, *, error):
    store.put(SOURCE_KEY, clip("long.mov", *LONG))
    progress.error, progress.after = error, 0.2
    with pytest.raises(type(error)):
        transcode(request(), store, workdir, progress)
    assert store.keys() == {SOURCE_KEY}
    assert eventually(lambda: processes_in(workdir) == [])


def test_a_lease_lost_right_before_publishing_publishes_nothing(filled, workdir, progress):
    progress.error, progress.after = LeaseLostError(), 0.95
    with pytest.raises(LeaseLostError):
        transcode(request(), filled, workdir, progress)
    assert filled.keys() == {SOURCE_KEY}


def test_twice_gives_the_same_objects(filled, workdir, progress):
    first = transcode(request(), filled, workdir, Progress())
    second = transcode(request(), filled, workdir, Progress())
    assert [output.key for output in first.outputs] == [output.key for output in second.outputs]
    assert filled.keys() == ALL
