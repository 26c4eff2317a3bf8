"""Ties each worker of a django-q2 cluster to the cluster's life, and has conversions make way for pages."""

import ctypes
import os
import platform
import signal
import sys
from typing import Any

from django_q.signals import post_spawn

PR_SET_PDEATHSIG = 1
NICE = 5
"""Of a worker itself; its converter makes way for it too."""


def die_with_the_cluster() -> None:
    """Have each worker end when its cluster is killed: it would wait for tasks for ever, unseen."""
    post_spawn.connect(_die_with_parent, dispatch_uid="die_with_parent")


def make_way() -> None:
    """Fetching and hashing a video costs as much as showing the first second of it to somebody who waits."""
    post_spawn.connect(_make_way, dispatch_uid="make_way")


def _make_way(**kwargs: Any) -> None:
    if os.environ.get("Q_CLUSTER_NAME") == "video" and "qcluster" in sys.argv:
        os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))


def _die_with_parent(**kwargs: Any) -> None:
    if platform.system() == "Linux" and "qcluster" in sys.argv:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
