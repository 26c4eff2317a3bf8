"""ffmpeg's progress report, read as a fraction and as news; and how long the rest will take."""

import pytest

from transcoding.engine.progress import Pace, Progress


def test_it_reads_the_fraction_whatever_pieces_the_report_comes_in():
    progress = Progress(10.0)
    for piece in (b"frame=1\nout_ti", b"me_us=2500", b"000\nprogress=continue\n"):
        progress.hear(piece)
    assert progress.fraction == 0.25


def test_it_never_passes_one_and_ignores_what_is_not_known():
    progress = Progress(10.0)
    progress.hear(b"out_time_us=N/A\n")
    assert progress.fraction == 0.0
    progress.hear(b"out_time_us=99000000\n")
    assert progress.fraction == 1.0


def test_without_a_duration_there_is_no_fraction():
    progress = Progress(None)
    assert progress.hear(b"out_time_us=99000000\n")
    assert progress.fraction == 0.0


def test_only_a_changed_figure_is_news():
    progress = Progress(10.0)
    assert progress.hear(b"frame=1\ntotal_size=48\n")
    assert not progress.hear(b"frame=1\ntotal_size=48\nspeed=1.1x\nprogress=continue\n")
    assert progress.hear(b"frame=1\ntotal_size=49\n")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def paced(*heard: tuple[float, float]) -> Pace:
    """A pace that has heard these (second, fraction)."""
    clock = Clock()
    pace = Pace(clock)
    for second, fraction in heard:
        clock.now = 100.0 + second
        pace.hear(fraction)
    return pace


def test_the_time_left_follows_from_the_pace():
    assert paced((0, 0.1), (2, 0.2), (4, 0.3)).seconds_left == pytest.approx(14.0)


def test_nothing_is_said_at_first_nor_while_nothing_moves():
    assert paced().seconds_left is None
    assert paced((0, 0.0), (1, 0.1), (2, 0.2)).seconds_left is None
    assert paced((0, 0.2), (10, 0.2), (20, 0.2)).seconds_left is None


def test_what_was_long_ago_no_longer_counts():
    """A download of two minutes to a tenth, then an encode of a tenth in five seconds."""
    slow = [(second, 0.1 * second / 120) for second in range(0, 120, 5)]
    fast = [(120 + second, 0.1 + 0.02 * second) for second in range(0, 41, 5)]
    assert paced(*slow, *fast).seconds_left == pytest.approx(5.0)


def test_a_conversion_that_begins_anew_is_timed_anew():
    assert paced((0, 0.5), (10, 0.9), (11, 0.1), (15, 0.3)).seconds_left == pytest.approx(14.0)
