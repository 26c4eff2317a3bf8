"""ffmpeg's progress report, read as a fraction and as news."""

from transcoding.engine.progress import Progress


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
