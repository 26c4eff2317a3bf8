"""Figures in plain words. No line breaks between a figure and its unit."""

_KILO, _MEGA, _GIGA = 10**3, 10**6, 10**9
_FEW, _ABOUT_A_MINUTE, _HOURS = 20, 90, 5400
"""Seconds up to which one speaks of seconds, of a minute, of minutes."""


def file_size(size: int) -> str:
    """Bytes, counted in thousands as phones do: `71 kB`, `7.1 MB`, `71 MB`, `1.2 GB`."""
    if size < _MEGA:
        return f"{max(1, round(size / _KILO)) if size else 0}\N{NO-BREAK SPACE}kB"
    if size < _GIGA:
        return f"{size / _MEGA:.{1 if size < 10 * _MEGA else 0}f}\N{NO-BREAK SPACE}MB"
    return f"{size / _GIGA:.1f}\N{NO-BREAK SPACE}GB"


def clock(seconds: float) -> str:
    """Minutes and seconds: `1:05`."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02}"


def time_left(seconds: float) -> str:
    """Of an estimate, so never to the second."""
    if seconds < _FEW:
        return "a few seconds left"
    if seconds < _ABOUT_A_MINUTE:
        return "about a minute left"
    if seconds < _HOURS:
        return f"about {round(seconds / 60)} minutes left"
    return f"about {round(seconds / 3600)} hours left"
