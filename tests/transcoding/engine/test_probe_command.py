"""`manage.py probe INPUT [--json]`: facts, plan and reasons; ends as `transcode` would."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from .support import MPEG4, PICTURE, Clip


def probe(*arguments: str | Path) -> tuple[int, str, str]:
    """(exit status, standard output, standard error)."""
    said, complained = io.StringIO(), io.StringIO()
    try:
        call_command("probe", *map(str, arguments), stdout=said, stderr=complained)
    except SystemExit as end:
        return int(str(end.code)), said.getvalue(), complained.getvalue()
    return 0, said.getvalue(), complained.getvalue()


def report(path: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(probe(path, "--json")[1].splitlines()[-1])
    return answer


def test_it_tells_facts_plan_and_reasons_in_json(phone_clip: Path):
    told = report(phone_clip)
    assert (told["outcome"], told["code"], told["video"], told["audio"]) == (
        "succeeded",
        None,
        "copy",
        "copy",
    )
    assert told["facts"]["video"][0]["codec"] == "h264"
    assert told["plan"]["video"]["width"] == 320
    assert [reason.partition(":")[0] for reason in told["reasons"]] == ["video_copy", "audio_copy"]


def test_it_tells_a_person_in_lines(clip: Clip):
    status, said, complained = probe(clip("old.mov", *PICTURE, *MPEG4))
    assert (status, complained) == (0, "")
    assert "stream 0: mpeg4 Simple Profile yuv420p, 320x240, 25.00 frames a second" in said
    assert "video: encode, 320x240; audio: none" in said
    assert "  video_codec: mpeg4 does not play in every browser" in said


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "empty"), (b"Dear doctor", "not_a_video"), (None, "source_missing")]
)
def test_bad_input_ends_with_two(tmp_path: Path, content, code):
    source = tmp_path / "in.mov"
    if content is not None:
        source.write_bytes(content)
    assert report(source)["code"] == code
    status, _, complained = probe(source)
    assert status == 2
    assert complained.startswith(f"{code}: ")


def test_a_fault_is_an_error_of_the_command(phone_clip: Path, monkeypatch):
    monkeypatch.setenv("FFMPEG_PATH", "/nonexistent/ffmpeg")
    with pytest.raises(CommandError, match="does not run"):
        probe(phone_clip)


def test_nothing_about_place_device_or_person_is_told(phone_clip: Path):
    told = probe(phone_clip, "--json")[1] + probe(phone_clip)[1]
    assert not [word for word in ("52.52", "Secretmaker", "Example", "knee") if word in told]
