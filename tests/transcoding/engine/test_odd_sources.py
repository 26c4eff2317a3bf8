"""Everything that phones, cameras, messengers and editors write: a table of tiny clips, one judge for all.

The judge (another build of ffmpeg) says what a player shows of the source: the output must show the same
frames at the same times, upright, with the sound as far from the picture as it was, and nothing else.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from transcoding.engine.contracts import FailureCode, Treatment

from .odd import BASES, ODD, QUICK, TEXTS, UNJUDGED, VIDEO, X264, X265
from .support import Clip, Convert, Judge, changed, ffmpeg

Odd = Callable[[str], Path]


@pytest.fixture(scope="session")
def odd(clip: Clip) -> Odd:
    """`odd("name")`: the clip of that name, from whatever other clips it is made of."""

    def make(name: str) -> Path:
        if name in TEXTS:
            path = make("plain.mp4").with_name(name)
            path.write_text(TEXTS[name])
            return path
        arguments = BASES[name] if name in BASES else ODD[name][0]
        return clip(f"odd-{name}", *(make(part[1:]) if part.startswith("@") else part for part in arguments))

    return make


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a player would show of a file. Seconds are from the first frame."""

    times: list[float]
    """Of the frames."""
    aspect: float
    """Width by height, upright, with square pixels."""
    sound_begins: float | None
    sound_ends: float | None
    said: set[str]
    """Names of tags that could tell of the person, and chapters."""
    pixels: str


_ENTRIES = (
    "format_tags:stream=index,codec_type,width,height,sample_aspect_ratio,pix_fmt,sample_rate:stream_tags"
    ":stream_disposition=attached_pic:stream_side_data=rotation"
    ":frame=stream_index,media_type,best_effort_timestamp_time,pkt_dts_time,nb_samples:chapter=id"
)
_HARMLESS = {"major_brand", "minor_version", "compatible_brands", "language", "handler_name", "vendor_id"}
_HANDLERS = {"VideoHandler", "SoundHandler", ""}
_PRIMING = 0.03
"""Seconds: a packet that warms a decoder up is told by the judge and hidden by players."""


def shown(judge: Judge, path: Path) -> Shown:
    told = judge(path, "-show_entries", _ENTRIES)
    streams = told["streams"]
    video = next(
        one for one in streams if one["codec_type"] == "video" and not one["disposition"]["attached_pic"]
    )
    frames = [frame for frame in told["frames"] if frame.get("stream_index") == video["index"]]
    times = [_time(frame) for frame in frames]
    begins, ends = _sound(told, times[0])
    tags = [told["format"].get("tags", {}), *(stream.get("tags", {}) for stream in streams)]
    names = {name for one in tags for name in one} - _HARMLESS
    names |= {one["handler_name"] for one in tags if "handler_name" in one} - _HANDLERS
    return Shown(
        times=[time - times[0] for time in times],
        aspect=_aspect(video),
        sound_begins=begins,
        sound_ends=ends,
        said=names | {"a chapter" for _ in told.get("chapters", [])},
        pixels=video["pix_fmt"],
    )


def _time(frame: dict[str, Any]) -> float:
    return float(frame.get("best_effort_timestamp_time", frame.get("pkt_dts_time", "nan")))


def _aspect(video: dict[str, Any]) -> float:
    across, down = map(int, video.get("sample_aspect_ratio", "1:1").split(":"))
    aspect = video["width"] / video["height"] * (across / down if across else 1.0)
    turned = any(abs(side.get("rotation", 0)) in (90, 270) for side in video.get("side_data_list", []))
    return 1 / aspect if turned else aspect


def _sound(told: dict[str, Any], first: float) -> tuple[float | None, float | None]:
    sound = next((stream for stream in told["streams"] if stream["codec_type"] == "audio"), None)
    frames = [frame for frame in told["frames"] if sound and frame.get("stream_index") == sound["index"]]
    if not sound or not frames:
        return None, None
    begin, last = _time(frames[0]) - first, _time(frames[-1]) - first
    return begin if abs(begin) > _PRIMING else 0.0, last + frames[-1]["nb_samples"] / int(
        sound["sample_rate"]
    )


def _param(name: str) -> Any:
    return pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)


@pytest.mark.parametrize("name", [_param(name) for name in ODD])
def test_what_was_shown_is_shown(odd: Odd, converted: Convert, judge: Judge, name: str):
    outcome = converted(odd(name))
    assert outcome.code is None, outcome.detail
    assert (outcome.video, outcome.audio) == ODD[name][1], (outcome.reasons, outcome.detail)
    assert outcome.mp4
    after = shown(judge, outcome.mp4)
    assert (after.pixels, after.said) in (("yuv420p", set()), ("yuvj420p", set()), ("gray", set()))
    if name not in UNJUDGED:
        _is_the_same(shown(judge, odd(name)), after, outcome.audio)


def _is_the_same(before: Shown, after: Shown, audio: Treatment) -> None:
    assert len(after.times) == len(before.times)
    assert after.times == pytest.approx(before.times, abs=0.0015)
    assert all(later > earlier for earlier, later in pairwise(after.times))
    assert after.aspect == pytest.approx(before.aspect, rel=0.03)
    if before.sound_ends is None or audio is Treatment.NONE:
        assert after.sound_ends is None
        return
    assert after.sound_ends == pytest.approx(before.sound_ends, abs=0.05)
    if audio is Treatment.COPY:  # else silence is filled in before it
        assert after.sound_begins == pytest.approx(before.sound_begins, abs=0.02)


EDITS = {
    "end": [(2000, 1024)],
    "last-two-frames": [(2920, 1024)],
    "middle": [(1000, 1024), (1000, 1024 + 2 * 12800)],
    "both-ends": [(1000, 1024 + 12800)],
    "both-ends-later": [(500, -1), (1000, 1024 + 12800)],
    "start": [(2000, 1024 + 12800)],
}
"""What is kept of three seconds: (thousandths of a second, where it begins in 1/12800 s), after a reordering
delay of 1024."""


def edited(path: Path, edits: list[tuple[int, int]], *, all_tracks: bool = False) -> bytes:
    """The film with other edit lists."""
    listed = b"".join(struct.pack(">iiI", length, begin, 0x10000) for length, begin in edits)

    def change(trak: bytes) -> bytes:
        if b"vide" not in trak and not all_tracks:
            return trak
        return changed(trak, (b"edts", b"elst"), lambda _: struct.pack(">II", 0, len(edits)) + listed)

    return changed(path.read_bytes(), (b"moov", b"trak"), change)


@pytest.mark.parametrize("cut", EDITS)
def test_what_the_patient_cut_away_does_not_come_back(odd: Odd, converted, judge, tmp_path: Path, cut: str):
    source = tmp_path / "cut.mp4"
    source.write_bytes(edited(odd("long.mp4"), EDITS[cut]))
    outcome = converted(source)
    assert (outcome.code, outcome.video) == (None, Treatment.ENCODE), outcome.detail
    _is_the_same(shown(judge, source), shown(judge, outcome.mp4), outcome.audio)
    assert len(judge.frame_times(outcome.mp4)) < 75  # not even hidden


def test_sound_that_was_cut_out_of_the_middle_does_not_come_back(odd: Odd, converted, judge, tmp_path: Path):
    """One second of a loud tone between two of silence, and an edit list that leaves it out."""
    source = tmp_path / "cut.mov"
    rate = 48000
    cut = [(1000, 0), (1000, 2 * rate)]
    source.write_bytes(edited(odd("beep.mov"), cut, all_tracks=True))
    outcome = converted(source)
    assert (outcome.code, outcome.audio) == (None, Treatment.ENCODE), outcome.detail
    level = ("-f", "s16le", "-ac", "1", "-ar", "8000", "-")
    uncut = ffmpeg("-i", odd("beep.mov"), "-map", "0:a", *level)
    kept = ffmpeg("-i", outcome.mp4, "-map", "0:a", *level)
    assert max(memoryview(uncut).cast("h")) > 3000
    assert max(memoryview(kept).cast("h")) < 300


@pytest.mark.parametrize("length", [2999, 2960])
def test_a_film_whose_last_frame_ends_early_is_still_copied(
    odd: Odd, converted, judge, tmp_path, length: int
):
    """Phones round the length down to their own clock, or take the time of the last frame for it."""
    source = tmp_path / "rounded.mp4"
    source.write_bytes(edited(odd("long.mp4"), [(length, 1024)]))
    outcome = converted(source)
    assert outcome.video is Treatment.COPY
    assert len(judge.frame_times(outcome.mp4)) == 75


def joined(clip: Clip, folder: Path, *sizes: str) -> Path:
    """An MP4 of H.264 streams one after the other, each with its parameters in its first frame."""
    picture = "testsrc2=size={}:rate=25:duration=0.4"
    parts = [clip(f"in-band{size}.h264", "-f", "lavfi", "-i", picture.format(size), *X264) for size in sizes]
    raw, film = folder / "joined.h264", folder / "joined.mp4"
    raw.write_bytes(b"".join(part.read_bytes() for part in parts))
    ffmpeg("-f", "h264", "-r", "25", "-i", raw, "-c", "copy", film)
    return film


def test_a_size_that_changes_inside_the_stream_is_brought_to_the_first(
    clip: Clip, converted, judge, tmp_path
):
    outcome = converted(joined(clip, tmp_path, "128x96", "64x64"))
    assert (outcome.code, outcome.video) == (None, Treatment.ENCODE), outcome.detail
    assert outcome.reasons[-1].startswith("copy_unclean: ")
    sizes = {(frame["width"], frame["height"]) for frame in judge(outcome.mp4, "-show_frames")["frames"]}
    assert sizes == {(128, 96)}
    assert len(judge.frame_times(outcome.mp4)) == 20


def test_parameters_that_are_only_repeated_are_no_change(clip: Clip, converted: Convert, tmp_path: Path):
    assert converted(joined(clip, tmp_path, "128x96", "128x96")).video is Treatment.COPY


@pytest.mark.parametrize("spare", [0, 100])
def test_a_stream_without_a_length_is_kept_as_far_as_it_goes_and_says_so(
    odd, converted, tmp_path, spare: int
):
    whole = odd("phone.ts").read_bytes()
    torn = tmp_path / "torn.ts"
    torn.write_bytes(whole[: len(whole) // 2 // 188 * 188 + spare])
    outcome = converted(torn)
    assert outcome.code is None
    assert any(reason.startswith("end_torn: " if spare else "end_unknown: ") for reason in outcome.reasons)


@pytest.mark.parametrize("box", ["mvhd", "tkhd", "mdhd"])
def test_a_header_that_lies_about_the_length_costs_nothing(odd: Odd, converted, judge, tmp_path, box: str):
    path = {"mvhd": [b"mvhd"], "tkhd": [b"trak", b"tkhd"], "mdhd": [b"trak", b"mdia", b"mdhd"]}[box]
    at = 20 if box == "tkhd" else 16
    source = tmp_path / "lying.mp4"
    huge = changed(
        odd("silent.mp4").read_bytes(),
        [b"moov", *path],
        lambda content: content[:at] + b"\x7f\xff\xff\xff" + content[at + 4 :],
    )
    source.write_bytes(huge)
    outcome = converted(source)
    assert outcome.code is None, (outcome.code, outcome.detail)
    assert len(judge.frame_times(outcome.mp4)) == 15


def test_an_hour_between_two_frames_is_not_filled(clip: Clip, converted: Convert, judge: Judge):
    far = ("-vf", "setpts='(N*0.04+3500*gt(N,7))/TB'", "-fps_mode", "vfr")
    for codec in (X264, X265):
        source = clip(f"hour-{codec[1]}.mp4", *VIDEO, *far, *codec)
        outcome = converted(source)
        assert outcome.code is None, outcome.detail
        before, after = judge.frame_times(source), judge.frame_times(outcome.mp4)
        assert len(after) == len(before)
        assert after[-1] - after[0] == pytest.approx(before[-1] - before[0], abs=0.0015)
        assert converted(source, duration=3000.0).code == FailureCode.TOO_LONG


def test_a_clock_that_jumps_on_the_way_ends_in_a_video_or_a_code(
    odd: Odd, converted: Convert, tmp_path: Path
):
    """Two recordings one after the other, the second of them a day later."""
    for name in ("phone.ts", "camera.mpg"):
        far = tmp_path / f"far-{name}"
        ffmpeg("-i", odd(name), "-c", "copy", "-output_ts_offset", "80000", "-f", "mpegts", far)
        both = tmp_path / f"both-{name}"
        both.write_bytes(odd("phone.ts").read_bytes() + far.read_bytes())
        outcome = converted(both)
        assert outcome.code in (None, FailureCode.TOO_LONG), outcome.detail
