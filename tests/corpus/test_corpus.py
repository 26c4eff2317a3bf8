"""Every real phone and camera file through the command line, against the list of what it must become.

Debian's ffprobe is the judge: another build, of another age, than the one that the engine uses. A table
of what became of each file is written to `CORPUS_REPORT`, or else to pytest's own temporary folder.
"""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.conftest import SHARED_MEDIA
from transcoding.engine.binaries import find_ffmpeg

JUDGE = Path("/usr/bin/ffprobe")
LONG_SIDE = 1920
"""Of what is encoded; a copy keeps its size."""
TOLERANCE = 0.1
"""Seconds of duration."""
HARMLESS_TAGS = {"major_brand", "minor_version", "compatible_brands", "language", "handler_name", "vendor_id"}
TOLD_PLACES = re.compile(
    rb"\xa9xyz|loci|[+-]\d{2}\.\d{3,6}[+-]\d{3}\.\d{3,6}|com\.apple\.quicktime|GoPro|Exif"
)
COLUMNS = ("file", "outcome", "video", "audio", "width", "height", "duration", "frames", "seconds", "verdict")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not JUDGE.exists(), reason="needs Debian's ffprobe")]


def rows() -> list[Any]:
    index = SHARED_MEDIA / "INDEX.tsv"
    if not index.exists():
        return [pytest.param(None, id="no files")]
    with index.open(encoding="utf-8") as file:
        return [pytest.param(row, id=row["file"]) for row in csv.DictReader(file, delimiter="\t")]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """Where each test puts its line; written when all are done."""
    lines: list[dict[str, Any]] = []
    yield lines
    path = Path(os.environ.get("CORPUS_REPORT") or tmp_path_factory.mktemp("report") / "corpus.tsv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, COLUMNS, delimiter="\t", restval="-", extrasaction="ignore", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(lines)


def transcode(source: Path, output: Path) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, settings.BASE_DIR / "manage.py", "transcode", source, output, "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=settings.BASE_DIR,
        timeout=500,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def judged(path: Path) -> dict[str, Any]:
    answer = subprocess.run(
        [JUDGE, "-v", "error", "-show_streams", "-show_format", "-of", "json", path],
        capture_output=True,
        check=True,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


@pytest.mark.usefixtures("shared_media")
@pytest.mark.parametrize("row", rows())
def test_a_real_file_becomes_what_it_must(row: dict[str, str], tmp_path: Path, table: list[dict[str, Any]]):
    output = tmp_path / "out.mp4"
    status, report = transcode(SHARED_MEDIA / row["file"], output)
    made = report["output"] or {}
    line = {"file": row["file"], "outcome": report["code"] or "ok", "verdict": "differs", **made}
    line |= {name: report[name] for name in ("video", "audio", "seconds")}
    table.append(line)

    assert (report["code"] or "ok") in row["expect"].split("|"), report["message"]
    assert status == (2 if report["code"] else 0)
    assert all(re.match(r"\w+: \w", reason) for reason in report["reasons"])
    if not report["code"]:
        line["frames"] = _hold(row, report, output)
    else:
        assert list(tmp_path.iterdir()) == []
    line["verdict"] = "as expected"


def _hold(row: dict[str, str], report: dict[str, Any], output: Path) -> int:
    """Hold the output against its row; gives its number of frames."""
    found = judged(output)
    video = next(stream for stream in found["streams"] if stream["codec_type"] == "video")
    kinds = [stream["codec_type"] for stream in found["streams"]]
    assert (kinds.count("video"), len(kinds) - kinds.count("video") - kinds.count("audio")) == (1, 0)
    assert {stream["codec_name"] for stream in found["streams"]} <= {"h264", "aac"}
    assert video["pix_fmt"] in ("yuv420p", "yuvj420p")
    for name in ("video", "audio"):
        assert row[name] in ("-", report[name])
    if row["width"] != "-":
        size = (int(row["width"]), int(row["height"]))
        assert _shown_size(video) == (_scaled(*size) if report["video"] == "encode" else size)
    if row["duration"] != "-":
        assert float(found["format"]["duration"]) == pytest.approx(float(row["duration"]), abs=TOLERANCE)
    frames = int(video["nb_frames"])
    if row["frames"] != "-":
        assert frames == int(row["frames"])
    _hold_private(output, found)
    return frames


def _hold_private(output: Path, found: dict[str, Any]) -> None:
    content = output.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert not TOLD_PLACES.search(content[: content.index(b"mdat")])
    for part in (found["format"], *found["streams"]):
        assert set(part.get("tags", {})) <= HARMLESS_TAGS
    assert not [chapter for chapter in found.get("chapters", []) if chapter]


def _shown_size(video: dict[str, Any]) -> tuple[int, int]:
    """As a player shows it: turned, with square pixels."""
    across, _, up = video.get("sample_aspect_ratio", "1:1").partition(":")
    size = (round(video["width"] * int(across) / int(up)), video["height"])
    turns = [side.get("rotation", 0) for side in video.get("side_data_list", [])]
    return size[::-1] if any(turn % 180 for turn in turns) else size


def _scaled(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, LONG_SIDE / max(width, height))
    return round(width * scale / 2) * 2, round(height * scale / 2) * 2


def sums(path: Path) -> list[str]:
    """A checksum of each decoded frame of the film, without its time."""
    arguments = [
        "-nostdin",
        "-v",
        "error",
        "-noautorotate",
        "-i",
        path,
        "-map",
        "0:v:0",
        "-f",
        "framemd5",
        "-",
    ]
    done = subprocess.run([find_ffmpeg().path, *arguments], capture_output=True, check=True, timeout=120)
    lines = done.stdout.decode().splitlines()
    return [line.rpartition(",")[2].strip() for line in lines if not line.startswith("#")]


@pytest.mark.parametrize(
    "name",
    [
        "an11_3gp5_720p_rot90_gps.3gp",
        "an16_screenrec_vfr120.mp4",
        "cam02_gopro_karma_gpmd_tmcd.mp4",
        "ip04_iphone5_1080p_vfr_gps.mov",
        "ip06_iphone6s_livephoto_mebx.mov",
        "odd08_dec_unsafe_tags_pp.mp4",
    ],
)
def test_copied_frames_of_real_files_are_the_same_bit_by_bit(shared_media: Path, tmp_path: Path, name: str):
    output = tmp_path / "out.mp4"
    assert transcode(shared_media / name, output)[1]["video"] == "copy"
    assert sums(output) == sums(shared_media / name)
