"""Object keys beside a source, and the mark of what the engine made."""

import pytest

from transcoding.engine import keys

SOURCE = "e5fa44f2b31/7448d8798a4380162d4b56f9b452e2f6f9e24e7a.mov"
STEM = "e5fa44f2b31/7448d8798a4380162d4b56f9b452e2f6f9e24e7a"


def test_everything_lies_beside_the_source():
    assert keys.stem(SOURCE) == STEM
    assert keys.mp4_key(SOURCE) == f"{STEM}.web.mp4"
    assert keys.poster_key(SOURCE) == f"{STEM}.poster.jpg"
    assert keys.result_key(SOURCE) == f"{STEM}.result.json"


def test_the_plain_style_has_no_mark():
    assert keys.mp4_key(SOURCE, "plain") == f"{STEM}.mp4"


def test_the_plain_style_never_replaces_an_mp4_source():
    assert keys.mp4_key(f"{STEM}.mp4", "plain") == f"{STEM}.web.mp4"


def test_an_unknown_style_is_an_error():
    with pytest.raises(ValueError, match="no MP4 key style 'fancy'"):
        keys.mp4_key(SOURCE, "fancy")


@pytest.mark.parametrize("make", [keys.mp4_key, keys.poster_key, keys.result_key])
def test_what_the_engine_made_is_known_as_its_own(make):
    assert keys.is_ours(make(SOURCE))


@pytest.mark.parametrize("extension", ["mov", "mp4", "3gp", "webm", "jpg", "json"])
def test_a_source_is_never_taken_for_the_engines_own(extension):
    assert not keys.is_ours(f"{STEM}.{extension}")


@pytest.mark.parametrize(
    "key",
    [SOURCE, SOURCE.upper().replace("E5FA", "e5fa"), "e5fa44f2b31/IMG_0001.MOV", "e5fa44f2b31/two words.3gp"],
)
def test_originals_are_known_by_their_key(key):
    assert keys.is_source(key)
    assert keys.reference(key) == key.partition("/")[0]


@pytest.mark.parametrize(
    "key",
    [
        f"{STEM}.web.mp4",
        f"{STEM}.result.json",
        "IMG_0001.MOV",
        "short/a.mov",
        "e5fa44f2b31/a/b.mov",
        "../../etc/a.mov",
        "e5fa44f2b31/.mov",
        "e5fa44f2b31/a.mov\n",
        "e5fa44f2b31/a\x00.mov",
        f"e5fa44f2b31/{'a' * 151}.mov",
        "e5fa44f2b31/a.pdf",
    ],
)
def test_what_is_no_original_is_told_by_its_key(key):
    assert not keys.is_source(key)


def test_an_mp4_of_ours_can_be_played_and_nothing_else_of_ours():
    assert keys.is_playable(f"{STEM}.web.mp4")
    assert not any(
        map(keys.is_playable, (SOURCE, f"{STEM}.poster.jpg", f"{STEM}.result.json", "../x.web.mp4"))
    )
