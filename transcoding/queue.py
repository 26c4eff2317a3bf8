"""The doorbell: django-q2 tasks that carry a job's id and nothing else.

A local job's task is the conversion; a Lambda job's task calls the function, and is a light one.
"""

from datetime import datetime

from django.db.models import Min
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from transcoding.models import Runner, TranscodeJob

_CLUSTERS = {Runner.LOCAL: "video", Runner.LAMBDA: "portal"}
_TASKS = {Runner.LOCAL: "transcoding.worker.convert", Runner.LAMBDA: "transcoding.remote.dispatch"}


def ring(job: TranscodeJob) -> None:
    """Ask a worker to look at this job. With the ORM broker, part of the caller's transaction."""
    runner = Runner(job.runner)
    async_task(_TASKS[runner], str(job.pk), cluster=_CLUSTERS[runner], group="convert")
    # After the task, never before: the sweep tells by the order of the two whether a task is lost.
    TranscodeJob.objects.filter(pk=job.pk).update(rung_at=timezone.now())


def oldest_waiting(runner: Runner) -> datetime | None:
    """When the oldest task that no worker has taken was put into the queue of this runner."""
    waiting = OrmQ.objects.filter(key=_CLUSTERS[runner], lock__lte=timezone.now())
    oldest: datetime | None = waiting.aggregate(oldest=Min("lock"))["oldest"]
    return oldest
