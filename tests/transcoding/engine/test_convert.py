"""From a file to a web MP4: form, size, time, sound, and nothing about the person."""

from itertools import pairwise
from pathlib import Path

import pytest

from transcoding.engine import boxes, frames
from transcoding.engine.contracts import FailureCode, Limits, Treatment
from transcoding.engine.convert import Converted, convert
from transcoding.engine.errors import ConverterKilled, DiskFull

from .support import (
    H264,
    HEVC,
    LONG,
    MPEG4,
    PICTURE,
    SOUND,
    Clip,
    Convert,
    Judge,
    Progress,
    eventually,
    ffmpeg,
    processes_in,
)


def grey(path: Path, width: int, height: int) -> list[list[int]]:
    """Brightness of the first frame, as rows of `width` x `height` blocks."""
    scale = f"scale={width}:{height}:flags=area,format=gray"
    flat = ffmpeg("-i", path, "-frames:v", "1", "-vf", scale, "-f", "rawvideo", "-")
    return [list(flat[row * width : (row + 1) * width]) for row in range(height)]


def made(outcome: Converted) -> Path:
    assert outcome.code is None, f"{outcome.code}: {outcome.detail}\n{outcome.run and outcome.run.log}"
    assert outcome.mp4
    return outcome.mp4


@pytest.mark.parametrize(
    ("codecs", "treatments", "profile"),
    [
        ((*H264, "-c:a", "aac"), ("copy", "copy"), "Constrained Baseline"),
        ((*H264, "-c:a", "pcm_s16le"), ("copy", "encode"), "Constrained Baseline"),
        ((*MPEG4, "-c:a", "aac"), ("encode", "copy"), "High"),
        ((*MPEG4, "-c:a", "pcm_s16le"), ("encode", "encode"), "High"),
    ],
    ids=["copy", "copy-picture", "copy-sound", "encode"],
)
def test_a_phone_clip_becomes_what_every_browser_plays(
    clip: Clip, converted: Convert, judge: Judge, *, codecs, treatments, profile
):
    outcome = converted(clip(f"{'-'.join(treatments)}.mov", *PICTURE, *SOUND, *codecs))
    mp4 = made(outcome)
    assert (outcome.video, outcome.audio) == treatments
    video, audio = judge(mp4)["streams"]
    assert (video["codec_name"], video["profile"], video["pix_fmt"]) == ("h264", profile, "yuv420p")
    assert (video["width"], video["height"], video["nb_frames"]) == (320, 240, "25")
    assert (audio["codec_name"], audio["channels"]) == ("aac", 1)
    assert float(video["duration"]) == pytest.approx(1.0, abs=0.1)
    assert float(audio["duration"]) == pytest.approx(1.0, abs=0.1)
    assert boxes.moov_is_first(mp4)


def frame_sums(path: Path) -> list[str]:
    """A checksum of each decoded frame and sound sample block, without their times."""
    lines = ffmpeg("-i", path, "-map", "0:v", "-map", "0:a", "-f", "framemd5", "-").decode().splitlines()
    return [line.split(",")[0] + line.split(",")[-1] for line in lines if not line.startswith("#")]


def test_a_copy_is_the_same_bit_by_bit(phone_clip: Path, converted: Convert):
    assert frame_sums(made(converted(phone_clip))) == frame_sums(phone_clip)


@pytest.mark.parametrize("codecs", [(), (*MPEG4, "-c:a", "aac")], ids=["copied", "encoded"])
def test_nothing_about_place_device_person_or_encoder_is_left(
    clip: Clip, phone_clip: Path, converted: Convert, codecs
):
    tagged = ("-movflags", "use_metadata_tags")
    again = clip("phone-mpeg4.mov", "-i", phone_clip, *codecs, *tagged) if codecs else phone_clip
    content = made(converted(again)).read_bytes()
    source = again.read_bytes()
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


@pytest.mark.parametrize("codec", [H264, MPEG4], ids=["copied", "encoded"])
@pytest.mark.parametrize("turn", [90, -90, 180])
def test_a_turned_clip_comes_out_upright(clip: Clip, converted: Convert, judge: Judge, codec, turn):
    # White above black as coded; a player turns it counterclockwise by `turn` degrees.
    halves = ("-f", "lavfi", "-i", "color=white:size=160x60:duration=0.4,pad=160:120:0:0:black")
    flat = clip(f"halves-{codec[1]}.mov", *halves, *codec)
    turned = clip(f"halves-{codec[1]}{turn}.mov", "-display_rotation", str(turn), "-i", flat, "-c", "copy")
    mp4 = made(converted(turned))
    video = judge.video(mp4)
    if codec == H264:
        assert (video["width"], video["height"]) == (160, 120)
        assert abs(video["side_data_list"][0]["rotation"]) == abs(turn)
    else:
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
        ("odd.mkv", "scale=161:121", (162, 122)),
        ("anamorphic.mp4", "scale=240:240,setsar=4/3", (320, 240)),
        ("large.mp4", "scale=2560:1440,setsar=1", (1920, 1080)),
        ("tall.mp4", "scale=1080:2340,setsar=1", (886, 1920)),
    ],
)
def test_the_size_is_even_square_and_within_bounds(clip, converted, judge, *, name, filters, size):
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10:duration=0.5")
    source = clip(name, *picture, "-vf", filters, *MPEG4)
    video = judge.video(made(converted(source)))
    assert (video["width"], video["height"]) == size
    assert video.get("sample_aspect_ratio", "1:1") == "1:1"


@pytest.mark.parametrize("codec", [H264, HEVC], ids=["copied", "encoded"])
def test_a_variable_frame_rate_keeps_every_frame_at_its_time(
    clip: Clip, converted: Convert, judge: Judge, codec
):
    uneven = "setpts='(N*0.04+0.3*gt(N,10)+0.017*mod(N,3))/TB'"
    timing = ("-fps_mode", "vfr", "-enc_time_base:v", "1:90000")
    source = clip(f"uneven-{codec[1]}.mp4", *PICTURE, "-vf", uneven, *timing, *codec)
    outcome = converted(source, with_poster=True)
    before, after = judge.frame_times(source), judge.frame_times(made(outcome))
    assert len(after) == len(before) == 25
    assert max(abs((a - after[0]) - (b - before[0])) for a, b in zip(after, before, strict=True)) < 0.001
    assert outcome.frame_index
    assert frames.read(outcome.frame_index.read_bytes()) == pytest.approx(after, abs=0.000_01)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("reordered.mov", ()),
        ("reordered.mkv", ()),
        ("late.mkv", ("-output_ts_offset", "5")),
        ("reordered-fragments.mp4", ("-movflags", "frag_keyframe+empty_moov")),
        ("open-groups.mov", ("-x264opts", "open-gop=1:keyint=10")),
        ("wide.mov", ("-vf", "scale=240:240,setsar=4/3")),
        ("timecode.mov", ("-timecode", "01:00:00:00")),
    ],
)
def test_whatever_wraps_it_h264_is_copied(clip: Clip, converted: Convert, judge: Judge, *, name, arguments):
    codec = ("-c:v", "libx264", "-preset", "medium", "-pix_fmt", "yuv420p", "-c:a", "aac")
    source = clip(name, *PICTURE, *SOUND, *codec, *arguments)
    outcome = converted(source)
    before, after = judge.frame_times(source), judge.frame_times(made(outcome))
    assert (outcome.video, outcome.audio) == (Treatment.COPY, Treatment.COPY), outcome.detail
    assert len(after) == 25
    assert [a - after[0] for a in after] == pytest.approx([b - before[0] for b in before], abs=0.001)


def test_slow_motion_is_copied_as_it_is(clip: Clip, converted: Convert, judge: Judge):
    source = clip("slow.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=240:duration=1", *H264)
    assert judge.frame_times(made(converted(source))) == judge.frame_times(source)


def test_slow_motion_that_is_encoded_is_thinned_out_and_lasts_as_long(clip, converted, judge):
    source = clip("slow-hevc.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=240:duration=1", *HEVC)
    times = judge.frame_times(made(converted(source)))
    assert 55 <= len(times) <= 61
    assert min(b - a for a, b in pairwise(times)) > 0.015
    assert times[-1] == pytest.approx(1.0, abs=0.05)


def test_what_the_patient_cut_away_does_not_come_back(clip: Clip, converted: Convert, judge: Judge):
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=2")
    whole = clip("uncut.mp4", *picture, *H264, "-g", "250")
    trimmed = clip("trimmed.mp4", "-ss", "1", "-i", whole, "-c", "copy")
    assert len(judge.frame_times(trimmed)) == 50
    outcome = converted(trimmed)
    assert len(judge.frame_times(made(outcome))) == 25
    assert outcome.video is Treatment.ENCODE
    assert any(reason.startswith("edit_list: ") for reason in outcome.reasons)


def test_a_turn_that_only_the_frames_tell_is_not_lost(clip: Clip, converted: Convert, judge: Judge):
    flat = clip("flat.mp4", *PICTURE, *H264)
    told = clip(
        "told.mp4", "-i", flat, "-c", "copy", "-bsf:v", "h264_metadata=display_orientation=insert:rotate=90"
    )
    video = judge.video(made(converted(told)))
    assert (video["width"], video["height"]) == (240, 320)


def test_a_picture_that_changes_its_size_on_the_way_keeps_the_first(clip: Clip, converted: Convert, judge):
    parts = [
        clip(f"part{size}.h264", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25:duration=0.5", *H264)
        for size in ("320x240", "160x160")
    ]
    both = clip("both.ts", "-f", "h264", "-i", f"concat:{parts[0]}|{parts[1]}", "-c", "copy")
    video = judge.video(made(converted(both)))
    assert (video["width"], video["height"]) == (320, 240)


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


@pytest.mark.parametrize("sound", ["aac", "pcm_s16le"], ids=["sound-copied", "sound-encoded"])
@pytest.mark.parametrize("codec", [H264, MPEG4], ids=["picture-copied", "picture-encoded"])
def test_sound_that_starts_later_stays_in_step(clip: Clip, converted: Convert, judge: Judge, codec, sound):
    late = ("-itsoffset", "0.5", *SOUND)
    mp4 = made(converted(clip(f"late-{codec[1]}-{sound}.mov", *PICTURE, *late, *codec, "-c:a", sound)))
    video, audio = judge(mp4)["streams"]
    assert float(video["start_time"]) == pytest.approx(0.0, abs=0.02)
    assert float(audio["start_time"]) + float(audio["duration"]) == pytest.approx(1.5, abs=0.1)


def test_progress_rises_to_the_end(clip: Clip, tmp_path: Path, progress: Progress):
    source = clip("long.mov", *LONG)
    made(convert(source, tmp_path, Limits(), progress))
    assert progress.fractions == sorted(progress.fractions)
    assert any(0.05 < fraction < 0.9 for fraction in progress.fractions)
    assert max(progress.fractions) <= 1.0


def test_an_exception_in_on_progress_kills_ffmpeg_and_goes_on(clip: Clip, tmp_path: Path, progress: Progress):
    source = clip("long.mov", *LONG)
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
    ],
)
def test_each_limit_ends_in_its_code(clip: Clip, converted: Convert, limits, code):
    source = clip("long.mov", *LONG)
    outcome = converted(source, **limits)
    assert (outcome.code, outcome.mp4) == (code, None)


@pytest.mark.parametrize("mebibytes", [250, 300, 350, 400, 450])
def test_too_little_memory_ends_in_one_code(clip: Clip, converted: Convert, mebibytes: int):
    """Whatever is refused first: a picture, a thread, x264 without a word; or it hangs."""
    outcome = converted(clip("long.mov", *LONG), memory_bytes=mebibytes * 1024**2, stall_seconds=5.0)
    assert (outcome.code, outcome.mp4) == (FailureCode.TOO_MANY_PIXELS, None), outcome.detail


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
    def fail_with_sound(self, chosen, pictures=None):
        result = convert_once(self, chosen, pictures)
        if chosen.audio.index is None:
            return result
        return type(result)(**{**vars(result), "returncode": 69})

    from transcoding.engine.convert import Conversion  # noqa: PLC0415 - the one fault that no clip causes

    convert_once = Conversion._convert
    monkeypatch.setattr(Conversion, "_convert", fail_with_sound)
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
