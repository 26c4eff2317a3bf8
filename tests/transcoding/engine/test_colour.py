"""Colours decide a diagnosis: patches of known colour must come out as they went in.

Bars are drawn as RGB, written with the colours of the source, converted, and read back as what a player
shows that believes the tags. Values are of 255.
"""

from pathlib import Path
from typing import Any

import pytest

from transcoding.engine.contracts import Treatment
from transcoding.engine.facts import Hdr

from .support import Clip, Convert, Judge, ffmpeg

PATCHES = {
    "white": (191, 191, 191),
    "yellow": (191, 191, 0),
    "cyan": (0, 191, 191),
    "green": (0, 191, 0),
    "magenta": (191, 0, 191),
    "red": (191, 0, 0),
    "blue": (0, 0, 191),
    "skin": (200, 150, 130),
}
TOLERANCE = 3
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-crf", "2", "-x265-params", "log-level=0")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "4")
BT709 = {"color_range": "tv", "color_space": "bt709", "color_transfer": "bt709", "color_primaries": "bt709"}


@pytest.fixture(scope="session")
def bars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight vertical bars as a 640 x 360 picture."""
    path = tmp_path_factory.mktemp("bars") / "bars.ppm"
    row = b"".join(bytes(patch) * 80 for patch in PATCHES.values())
    path.write_bytes(b"P6\n640 360\n255\n" + row * 360)
    return path


def film(
    clip: Clip, bars: Path, name: str, *, matrix: str, scale: str, tags: bool = True, **more: Any
) -> Path:
    """The bars as a short film with this matrix and range, in the tags or only in fact.

    It is of HEVC, which is encoded, unless a codec is given.
    """
    width = more.get("width", 640)
    pixels = more.get("pixels", "yuvj420p" if scale == "pc" else "yuv420p")
    untag = (
        ""
        if tags
        else ",setparams=colorspace=unknown:color_primaries=unknown:color_trc=unknown:range=unknown"
    )
    filters = f"scale={width}:-2:flags=neighbor,zscale=m={matrix}:r={scale},format={pixels}{untag}"
    named = ("-colorspace", matrix, "-color_primaries", matrix, "-color_trc", "bt709", "-color_range", scale)
    codec = more.get("codec", HEVC)
    arguments = ("-loop", "1", "-i", bars, "-t", "0.2", "-vf", filters, *codec, "-pix_fmt", pixels)
    return clip(name, *arguments, *(named if tags else ()))


def shown(path: Path, matrix: str = "709", scale: str = "tv") -> dict[str, tuple[int, ...]]:
    """The colour in the middle of each bar of the first frame."""
    read = f"zscale=min={matrix}:rin={scale}:pin=709:tin=709:m=gbr:r=pc:p=709:t=709,format=gbrp"
    size = "scale=80:9:flags=area,format=rgb24"
    arguments = ("-frames:v", "1", "-vf", f"{read},{size}", "-f", "rawvideo", "-")
    pixels = ffmpeg("-i", path, *arguments)
    middle = [4 * 80 + 5 + 10 * number for number in range(8)]
    return {name: tuple(pixels[at * 3 : at * 3 + 3]) for name, at in zip(PATCHES, middle, strict=True)}


def error(seen: dict[str, tuple[int, ...]]) -> int:
    """Largest difference of any channel of any patch."""
    return max(abs(a - b) for name, patch in PATCHES.items() for a, b in zip(patch, seen[name], strict=True))


def made(converted: Convert, source: Path) -> Path:
    outcome = converted(source)
    assert outcome.mp4, outcome.detail
    return outcome.mp4


@pytest.mark.parametrize(
    ("name", "colours"),
    [
        ("bt601.mp4", {"matrix": "smpte170m", "scale": "tv"}),
        ("bt601-full.mp4", {"matrix": "smpte170m", "scale": "pc"}),
        ("bt601-pal-hd.mp4", {"matrix": "bt470bg", "scale": "tv", "width": 1280}),
        ("bt601-full-large.mp4", {"matrix": "smpte170m", "scale": "pc", "width": 2560}),
        ("bt709.mp4", {"matrix": "bt709", "scale": "tv"}),
        ("bt709-full.mp4", {"matrix": "bt709", "scale": "pc"}),
        ("bt601-untagged.mp4", {"matrix": "smpte170m", "scale": "tv", "tags": False}),
        ("bt709-untagged-hd.mp4", {"matrix": "bt709", "scale": "tv", "tags": False, "width": 1280}),
        ("bt601-444.mp4", {"matrix": "smpte170m", "scale": "tv", "pixels": "yuv444p"}),
        ("bt709-10bit.mp4", {"matrix": "bt709", "scale": "tv", "pixels": "yuv420p10le"}),
        ("jpeg.mov", {"matrix": "bt470bg", "scale": "pc", "codec": ("-c:v", "mjpeg", "-q:v", "2")}),
    ],
)
def test_every_colour_comes_out_as_it_went_in(clip: Clip, bars: Path, converted: Convert, name, colours):
    source = film(clip, bars, name, **colours)
    assert error(shown(source, colours["matrix"], colours["scale"])) <= TOLERANCE
    assert error(shown(made(converted, source))) <= TOLERANCE


def test_the_test_would_notice_a_matrix_that_was_only_renamed(clip: Clip, bars: Path):
    assert error(shown(film(clip, bars, "bt601.mp4", matrix="smpte170m", scale="tv"))) > 20


@pytest.mark.parametrize("scale", ["tv", "pc"])
def test_a_copy_keeps_the_colours_and_the_tags_of_its_source(clip, bars, converted, judge: Judge, scale):
    source = film(clip, bars, f"bt601-{scale}-h264.mp4", matrix="smpte170m", scale=scale, codec=H264)
    mp4 = made(converted, source)
    assert error(shown(mp4, "smpte170m", scale)) <= TOLERANCE
    before, after = judge.video(source), judge.video(mp4)
    assert {name: after.get(name) for name in BT709} == {name: before.get(name) for name in BT709}


def test_the_output_says_that_it_is_bt709(clip: Clip, bars: Path, converted: Convert, judge: Judge):
    source = film(clip, bars, "bt601-full.mp4", matrix="smpte170m", scale="pc")
    video = judge.video(made(converted, source))
    assert {name: video[name] for name in BT709} == BT709


@pytest.mark.parametrize(
    ("name", "colours", "treatment"),
    [
        ("bt709.mp4", {"matrix": "bt709", "scale": "tv"}, Treatment.ENCODE),
        ("bt709-copied.mp4", {"matrix": "bt709", "scale": "tv", "codec": H264}, Treatment.COPY),
        ("bt601-copied.mp4", {"matrix": "smpte170m", "scale": "tv", "codec": H264}, Treatment.COPY),
        ("bt601-full-copied.mp4", {"matrix": "smpte170m", "scale": "pc", "codec": H264}, Treatment.COPY),
        (
            "bt601-untagged-copied.mp4",
            {"matrix": "smpte170m", "scale": "tv", "codec": H264, "tags": False},
            Treatment.COPY,
        ),
    ],
)
def test_the_poster_has_the_colours_of_the_film(clip, bars, converted, *, name, colours, treatment):
    outcome = converted(film(clip, bars, name, **colours), with_poster=True)
    poster = outcome.poster
    assert poster
    assert outcome.video is treatment
    assert error(shown(poster, "470bg", "pc")) <= TOLERANCE


def test_wide_primaries_are_brought_into_bt709(clip: Clip, bars: Path, converted: Convert):
    # The same light, told in Display P3 as an iPhone does.
    to_p3 = "zscale=pin=709:tin=709:min=gbr:rin=pc:p=smpte432:t=709:m=709:r=tv,format=yuv420p"
    tags = (
        "-colorspace",
        "bt709",
        "-color_primaries",
        "smpte432",
        "-color_trc",
        "bt709",
        "-color_range",
        "tv",
    )
    source = clip("p3.mp4", "-loop", "1", "-i", bars, "-t", "0.2", "-vf", to_p3, *HEVC, *tags)
    before, after = shown(source), shown(made(converted, source))
    assert before["skin"][0] < 200 - TOLERANCE
    assert after["skin"] == pytest.approx(PATCHES["skin"], abs=TOLERANCE)
    # Eight bits of P3 cannot tell the darkest channel of a saturated patch any better.
    assert error(after) < 20 < error(before)


@pytest.mark.parametrize(
    ("transfer", "hdr"), [("arib-std-b67", Hdr.HLG), ("smpte2084", Hdr.PQ)], ids=["hlg", "pq"]
)
def test_hdr_keeps_hue_and_brightness(
    clip: Clip, bars: Path, converted: Convert, judge: Judge, *, transfer: str, hdr: Hdr
):
    to_hdr = (
        "zscale=tin=709:pin=709:p=709:min=gbr:rin=pc:t=linear:npl=203,format=gbrpf32le,"
        f"zscale=p=2020:t={transfer}:m=2020_ncl:r=tv:npl=203,format=yuv420p10le"
    )
    tags = f"log-level=0:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:range=limited"
    codec = ("-c:v", "libx265", "-crf", "4", "-x265-params", tags)
    source = clip(f"{hdr}.mp4", "-loop", "1", "-i", bars, "-t", "0.2", "-vf", to_hdr, *codec)
    outcome = converted(source)
    assert outcome.mp4, outcome.detail
    assert outcome.facts
    assert outcome.facts.video[0].hdr == hdr
    seen, video = shown(outcome.mp4), judge.video(outcome.mp4)
    assert {name: video[name] for name in BT709} == BT709
    assert max(seen["white"]) - min(seen["white"]) <= TOLERANCE
    assert error(seen) <= 40
    red, green, blue = seen["skin"]
    assert red > green > blue
    assert 170 <= red <= 225
