"""Ties each worker of a django-q2 cluster to the cluster's life."""

import ctypes
import platform
import signal
import sys
from typing import Any

from django_q.signals import post_spawn

PR_SET_PDEATHSIG = 1


def die_with_the_cluster() -> None:
    """Have each worker end when its cluster is killed: it would wait for tasks for ever, unseen."""
    post_spawn.connect(_die_with_parent, dispatch_uid="die_with_parent")


def _die_with_parent(**kwargs: Any) -> None:
    if platform.system() == "Linux" and "qcluster" in sys.argv:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
