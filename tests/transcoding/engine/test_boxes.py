"""What only the boxes of a file tell: cuts, changes of format, and traces of the camera."""

import struct
from pathlib import Path

import pytest

from transcoding.engine import boxes
from transcoding.engine.contracts import Limits
from transcoding.engine.probe import probe

from .support import H264, PICTURE, SOUND, Clip


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def track(number: int, edits: list[tuple[int, int]], entries: int = 1) -> bytes:
    """A track with this id, these (duration, media time) edits and so many sample descriptions."""
    header = box(b"tkhd", bytes(12), struct.pack(">I", number), bytes(64))
    listed = [struct.pack(">iii", duration, start, 0x10000) for duration, start in edits]
    cut = box(b"edts", box(b"elst", struct.pack(">II", 0, len(edits)), *listed))
    described = box(b"stsd", struct.pack(">II", 0, entries), *[box(b"avc1", bytes(90))] * entries)
    media = box(b"mdia", box(b"minf", box(b"stbl", described)))
    return box(b"trak", header, cut if edits else b"", media)


@pytest.mark.parametrize(
    ("edits", "shown"),
    [
        ([], 0),
        ([(1000, 0)], 1),
        ([(500, -1), (1000, 0)], 1),
        ([(400, 0), (600, 2000)], 2),
    ],
    ids=["none", "whole", "late", "cut"],
)
def test_only_pieces_that_are_shown_count_as_edits(tmp_path: Path, edits, shown):
    path = tmp_path / "film.mov"
    path.write_bytes(box(b"moov", track(7, edits)))
    assert boxes.tracks(path) == {7: boxes.Track(edits=shown, descriptions=1)}


@pytest.mark.parametrize(
    ("end", "hides"), [(1000, False), (960, False), (958, True), (500, True), (0, False)]
)
def test_an_end_that_was_cut_away_is_seen(tmp_path: Path, end, hides):
    """25 frames of 40 ticks, the last two shown in the other order: the last one begins at 960."""
    times = box(b"stts", struct.pack(">IIII", 0, 1, 25, 40))
    order = box(b"ctts", struct.pack(">IIIiIiIi", 0, 3, 23, 0, 1, 40, 1, -40))
    scale = box(b"mdhd", bytes(12), struct.pack(">II", 1000, 1000), bytes(4))
    header = box(b"tkhd", bytes(12), struct.pack(">I", 1), bytes(64))
    cut = box(b"edts", box(b"elst", struct.pack(">IIiii", 0, 1, end, 0, 0x10000)))
    media = box(b"mdia", scale, box(b"minf", box(b"stbl", times, order)))
    path = tmp_path / "film.mov"
    path.write_bytes(
        box(b"moov", box(b"mvhd", bytes(12), struct.pack(">I", 1000)), box(b"trak", header, cut, media))
    )
    assert boxes.tracks(path)[1].hides_end is hides


def test_a_format_that_changes_on_the_way_is_seen(tmp_path: Path):
    path = tmp_path / "film.mov"
    path.write_bytes(box(b"moov", track(1, []), track(2, [], entries=2)))
    assert [found.descriptions for found in boxes.tracks(path).values()] == [1, 2]


def test_boxes_that_lie_about_their_size_end_the_reading(tmp_path: Path):
    path = tmp_path / "film.mov"
    path.write_bytes(box(b"moov", track(1, [(1000, 0)]))[:90])
    assert boxes.tracks(path) in ({}, {1: boxes.Track(edits=0, descriptions=0)})
    path.write_bytes(struct.pack(">I4s", 4, b"moov") * 50)
    assert boxes.tracks(path) == {}


def test_a_plain_film_is_neither_cut_nor_changing(clip: Clip):
    film = probe(clip("plain.mov", *PICTURE, *SOUND, *H264, "-c:a", "aac"), Limits()).video[0]
    assert (film.cut, film.changing, film.cropped, film.turned_inside) == (False, False, False, False)


def test_what_a_muxer_and_an_encoder_write_about_themselves_is_a_trace(clip: Clip):
    plain = clip("plain.mov", *PICTURE, *SOUND, *H264, "-c:a", "aac")
    assert {"udta", "the name of a handler", "the name of an encoder"} <= set(boxes.traces(plain))
    assert boxes.nal_length_size(plain) == 4
