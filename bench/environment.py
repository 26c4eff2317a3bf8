"""The settings of a portal of its own, in a folder that goes away: to be imported before what needs them."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import django

from portal import seaweed

VAR = Path(tempfile.mkdtemp(prefix="portal-bench-"))
LINE = float(os.environ.get("BENCH_LINE", "0"))
"""Mbit a second of the line between client and store; 0: as fast as the machine is."""
LINE_PORT = seaweed.free_port()

atexit.register(shutil.rmtree, VAR, ignore_errors=True)
if LINE:
    os.environ["S3_PUBLIC_ENDPOINT"] = f"http://127.0.0.1:{LINE_PORT}"
os.environ |= {
    "VAR_DIR": str(VAR),
    "PORT": str(seaweed.free_port()),
    "S3_PORT": str(seaweed.free_port()),
    "LOG_LEVEL": "WARNING",
    "DJANGO_SETTINGS_MODULE": "portal.settings",
}
django.setup()
