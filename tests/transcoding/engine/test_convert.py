"""From a file to a web MP4: form, size, time, sound, and nothing about the person."""

from itertools import pairwise
from pathlib import Path

import pytest

from transcoding.engine import boxes
from transcoding.engine.contracts import FailureCode, Limits, Treatment
from transcoding.engine.convert import Converted, convert
from transcoding.engine.errors import ConverterKilled, DiskFull

from .support import H264, PICTURE, SOUND, Clip, Convert, Judge, Progress, eventually, ffmpeg, processes_in


def grey(path: Path, width: int, height: int) -> list[list[int]]:
    """Brightness of the first frame, as rows of `width` x `height` blocks."""
    scale = f"scale={width}:{height}:flags=area,format=gray"
    flat = ffmpeg("-i", path, "-frames:v", "1", "-vf", scale, "-f", "rawvideo", "-")
    return [list(flat[row * width : (row + 1) * width]) for row in range(height)]


def made(outcome: Converted) -> Path:
    assert outcome.code is None, f"{outcome.code}: {outcome.detail}\n{outcome.run and outcome.run.log}"
    assert outcome.mp4
    return outcome.mp4


def test_a_phone_clip_becomes_what_every_browser_plays(phone_clip: Path, converted: Convert, judge: Judge):
    mp4 = made(converted(phone_clip))
    video, audio = judge(mp4)["streams"]
    assert (video["codec_name"], video["profile"], video["pix_fmt"]) == ("h264", "High", "yuv420p")
    assert (video["width"], video["height"], video["nb_frames"]) == (320, 240, "25")
    assert (audio["codec_name"], audio["channels"]) == ("aac", 1)
    assert float(video["duration"]) == pytest.approx(1.0, abs=0.1)
    assert float(audio["duration"]) == pytest.approx(1.0, abs=0.1)
    assert boxes.moov_is_first(mp4)


def test_nothing_about_place_device_person_or_encoder_is_left(phone_clip: Path, converted: Convert):
    content = made(converted(phone_clip)).read_bytes()
    source = phone_clip.read_bytes()
    for secret in (b"+52.52", b"Secretmaker", b"Mrs Example", b"left knee"):
        assert secret in source
        assert secret not in content
    assert b"x264 - core" not in content
    assert b"Lavf" not in content


def test_the_users_file_name_reaches_no_argument_and_no_log(phone_clip: Path, converted: Convert, tmp_path):
    named = tmp_path / "-i Mrs Example's %s\nknee.mov"
    named.write_bytes(phone_clip.read_bytes())
    outcome = converted(named)
    assert made(outcome)
    assert outcome.run
    assert "Example" not in " ".join(outcome.run.arguments) + outcome.run.log
    assert not [argument for argument in outcome.run.arguments if str(tmp_path) in argument]


@pytest.mark.parametrize("turn", [90, -90, 180])
def test_a_turned_clip_comes_out_upright_without_a_matrix(clip: Clip, converted: Convert, judge: Judge, turn):
    # White above black as coded; a player turns it counterclockwise by `turn` degrees.
    halves = ("-f", "lavfi", "-i", "color=white:size=160x60:duration=0.4,pad=160:120:0:0:black")
    flat = clip("halves.mov", *halves, *H264)
    mp4 = made(converted(clip(f"halves{turn}.mov", "-display_rotation", str(turn), "-i", flat, "-c", "copy")))
    video = judge.video(mp4)
    assert (video["width"], video["height"]) == ((160, 120) if turn == 180 else (120, 160))
    assert "side_data_list" not in video
    (top_left, top_right), (low_left, low_right) = grey(mp4, 2, 2)
    bright = {
        90: (top_left, low_left),
        -90: (top_right, low_right),
        180: (low_left, low_right),
    }[turn]
    assert min(bright) > 220
    assert sorted([top_left, top_right, low_left, low_right])[1] < 30


def test_a_mirrored_clip_comes_out_as_it_was_shown(clip: Clip, converted: Convert):
    halves = ("-f", "lavfi", "-i", "color=white:size=80x120:duration=0.4,pad=160:120:0:0:black")
    flat = clip("sides.mov", *halves, *H264)
    mirrored = clip("sides-mirrored.mov", "-display_hflip", "-i", flat, "-c", "copy")
    ((left, right),) = grey(made(converted(mirrored)), 2, 1)
    assert left < 30
    assert right > 220


@pytest.mark.parametrize(
    ("name", "filters", "size"),
    [
        ("odd.mkv", "scale=161:121,format=yuv444p", (162, 122)),
        ("anamorphic.mp4", "scale=240:240,setsar=4/3", (320, 240)),
        ("large.mp4", "scale=2560:1440,setsar=1", (1920, 1080)),
        ("tall.mp4", "scale=1080:2340,setsar=1", (886, 1920)),
    ],
)
def test_the_size_is_even_square_and_within_bounds(clip, converted, judge, *, name, filters, size):
    codec = ("-c:v", "libx264", "-preset", "ultrafast")
    source = clip(
        name, "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10:duration=0.5", "-vf", filters, *codec
    )
    video = judge.video(made(converted(source)))
    assert (video["width"], video["height"]) == size
    assert video.get("sample_aspect_ratio", "1:1") == "1:1"


def test_a_variable_frame_rate_keeps_every_frame_at_its_time(clip: Clip, converted: Convert, judge: Judge):
    uneven = "setpts='(N*0.04+0.3*gt(N,10)+0.017*mod(N,3))/TB'"
    source = clip(
        "uneven.mp4", *PICTURE, "-vf", uneven, "-fps_mode", "vfr", "-enc_time_base:v", "1:90000", *H264
    )
    before, after = judge.frame_times(source), judge.frame_times(made(converted(source)))
    assert len(after) == len(before) == 25
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < 0.001


def test_slow_motion_is_thinned_out_and_lasts_as_long(clip: Clip, converted: Convert, judge: Judge):
    source = clip("slow.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=240:duration=1", *H264)
    times = judge.frame_times(made(converted(source)))
    assert 55 <= len(times) <= 61
    assert min(b - a for a, b in pairwise(times)) > 0.015
    assert times[-1] == pytest.approx(1.0, abs=0.05)


def test_interlaced_pictures_come_out_whole(clip: Clip, converted: Convert, judge: Judge):
    source = clip(
        "interlaced.ts", *PICTURE, "-vf", "interlace", "-c:v", "mpeg2video", "-flags", "+ilme+ildct"
    )
    video = judge.video(made(converted(source)))
    assert (video["field_order"], video["width"], video["height"]) == ("progressive", 320, 240)


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("webm.webm", ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus")),
        ("live.webm", ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis", "-live", "1")),
        (
            "old.3gp",
            ("-c:v", "h263", "-s", "176x144", "-c:a", "libopencore_amrnb", "-ar", "8000", "-ac", "1"),
        ),
        ("old.avi", ("-c:v", "mjpeg", "-c:a", "pcm_u8", "-ar", "11025")),
        ("camera.mpg", ("-c:v", "mpeg2video", "-c:a", "mp2")),
        ("camera.m2ts", (*H264, "-c:a", "ac3", "-mpegts_m2ts_mode", "1")),
        ("new.mp4", ("-c:v", "libsvtav1", "-preset", "12", "-c:a", "aac")),
        ("pro.mov", ("-c:v", "prores", "-c:a", "pcm_s16le")),
        ("fragments.mp4", (*H264, "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov")),
    ],
)
def test_what_phones_browsers_and_cameras_write_is_converted(clip, converted, judge, name, codecs):
    mp4 = made(converted(clip(name, *PICTURE, *SOUND, *codecs)))
    streams = judge(mp4)["streams"]
    assert [stream["codec_name"] for stream in streams] == ["h264", "aac"]
    assert streams[0]["nb_frames"] == "25"
    assert float(streams[0]["duration"]) == pytest.approx(1.0, abs=0.1)
    assert float(streams[1]["duration"]) == pytest.approx(1.0, abs=0.1)


def test_sound_of_six_channels_becomes_stereo(clip: Clip, converted: Convert, judge: Judge):
    sound = "sine=duration=1,pan=5.1|FL=c0|FR=c0|FC=c0|BL=c0|BR=c0|LFE=c0"
    source = clip("surround.mkv", *PICTURE, "-f", "lavfi", "-i", sound, *H264, "-c:a", "ac3")
    assert judge(made(converted(source)))["streams"][1]["channels"] == 2


def test_a_silent_clip_stays_silent(clip: Clip, converted: Convert, judge: Judge):
    outcome = converted(clip("silent.mp4", *PICTURE, *H264))
    assert [stream["codec_type"] for stream in judge(made(outcome))["streams"]] == ["video"]
    assert outcome.audio is Treatment.NONE


def test_sound_that_starts_later_stays_in_step(clip: Clip, converted: Convert, judge: Judge):
    late = ("-itsoffset", "0.5", *SOUND)
    mp4 = made(converted(clip("late.mp4", *PICTURE, *late, *H264, "-c:a", "aac")))
    video, audio = judge(mp4)["streams"]
    assert float(video["start_time"]) == pytest.approx(0.0, abs=0.02)
    assert float(audio["start_time"]) + float(audio["duration"]) == pytest.approx(1.5, abs=0.1)


def test_progress_rises_to_the_end(clip: Clip, tmp_path: Path, progress: Progress):
    source = clip("long.mp4", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=8", *H264)
    made(convert(source, tmp_path, Limits(), progress))
    assert progress.fractions == sorted(progress.fractions)
    assert any(0.05 < fraction < 0.9 for fraction in progress.fractions)
    assert max(progress.fractions) <= 1.0


def test_an_exception_in_on_progress_kills_ffmpeg_and_goes_on(clip: Clip, tmp_path: Path, progress: Progress):
    source = clip("long.mp4", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=8", *H264)
    progress.error, progress.after = RuntimeError("lease lost"), 0.05
    with pytest.raises(RuntimeError, match="lease lost"):
        convert(source, tmp_path, Limits(), progress)
    assert eventually(lambda: processes_in(tmp_path) == [])
    assert progress.fractions[-1] < 0.9


# Limits


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"seconds": 0.4}, FailureCode.TIMED_OUT),
        ({"output_bytes": 100_000}, FailureCode.TOO_LARGE),
        ({"duration": 5.0}, FailureCode.TOO_LONG),
        ({"pixels": 100_000}, FailureCode.TOO_MANY_PIXELS),
        ({"memory_bytes": 320 * 1024**2}, FailureCode.TOO_MANY_PIXELS),
    ],
)
def test_each_limit_ends_in_its_code(clip: Clip, converted: Convert, limits, code):
    source = clip("long.mp4", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=8", *H264)
    outcome = converted(source, **limits)
    assert (outcome.code, outcome.mp4) == (code, None)


def test_a_film_that_hides_its_length_is_stopped_at_the_limit(clip: Clip, converted: Convert):
    live = clip("hidden.webm", *PICTURE, "-c:v", "libvpx", "-deadline", "realtime", "-live", "1")
    assert converted(live, duration=0.5).code == FailureCode.TOO_LONG


# Damage


def test_half_of_a_film_whose_index_is_whole_is_damaged(clip: Clip, converted: Convert, tmp_path: Path):
    whole = clip("index-first.mp4", *PICTURE, *SOUND, *H264, "-c:a", "aac", "-movflags", "+faststart")
    half = tmp_path / "half.mp4"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    outcome = converted(half)
    assert outcome.code == FailureCode.DAMAGED
    assert "of 1.00 seconds could be read" in outcome.detail


def test_half_of_a_matroska_film_is_damaged(clip: Clip, converted: Convert, tmp_path: Path):
    whole = clip("whole.mkv", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=5", *H264)
    half = tmp_path / "half.mkv"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert converted(half).code == FailureCode.DAMAGED


def test_noise_where_frames_should_be_is_damaged(clip: Clip, converted: Convert, tmp_path: Path):
    whole = clip("silent.mp4", *PICTURE, *H264).read_bytes()
    start = whole.index(b"mdat") + 4
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(
        whole[:start] + b"\xa5" * (whole.index(b"moov") - 4 - start) + whole[whole.index(b"moov") - 4 :]
    )
    assert converted(noise).code == FailureCode.DAMAGED


def test_broken_sound_does_not_cost_the_picture(phone_clip: Path, converted: Convert, monkeypatch):
    def fail_with_sound(self, chosen):
        result = convert_once(self, chosen)
        if chosen.audio.index is None:
            return result
        return type(result)(**{**vars(result), "returncode": 69})

    from transcoding.engine.convert import _Conversion  # noqa: PLC0415 - the one fault that no clip causes

    convert_once = _Conversion._convert
    monkeypatch.setattr(_Conversion, "_convert", fail_with_sound)
    outcome = converted(phone_clip)
    assert made(outcome)
    assert outcome.audio is Treatment.NONE
    assert outcome.reasons[-1] == "audio_dropped: the sound could not be read"


# Faults of the host


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"returncode": -9}, ConverterKilled),
        ({"returncode": 228, "log": "av_interleaved_write_frame(): No space left on device"}, DiskFull),
    ],
)
def test_a_fault_of_the_host_is_raised_and_not_blamed_on_the_video(
    phone_clip, converted, monkeypatch, fault, error
):
    from transcoding.engine import convert as module  # noqa: PLC0415 - faults that cannot be caused here

    def failing(*args, **kwargs):
        return type(result := real(*args, **kwargs))(**{**vars(result), **fault})

    real = module.run
    monkeypatch.setattr(module, "run", failing)
    with pytest.raises(error):
        converted(phone_clip)
