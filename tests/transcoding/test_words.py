"""Figures in plain words."""

import pytest

from transcoding.words import file_size, time_left


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 kB"),
        (12, "1 kB"),
        (71_400, "71 kB"),
        (7_140_000, "7.1 MB"),
        (74_757_120, "75 MB"),
        (5_368_709_120, "5.4 GB"),
    ],
)
def test_a_size_reads_as_the_phone_says_it(size, words):
    assert file_size(size) == words.replace(" ", "\N{NO-BREAK SPACE}")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (4.0, "a few seconds left"),
        (61.0, "about a minute left"),
        (130.0, "about 2 minutes left"),
        (7200.0, "about 2 hours left"),
    ],
)
def test_an_estimate_is_told_in_round_figures(seconds, words):
    assert time_left(seconds) == words
