"""The doorbell: django-q2 tasks that carry a job's id and nothing else."""

from datetime import datetime

from django.db.models import Min
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from transcoding.models import TranscodeJob

CLUSTER = "video"


def ring(job: TranscodeJob) -> None:
    """Ask a worker to look at this job. With the ORM broker, part of the caller's transaction."""
    async_task("transcoding.worker.convert", str(job.pk), cluster=CLUSTER, group="convert")
    # After the task, never before: the sweep tells by the order of the two whether a task is lost.
    TranscodeJob.objects.filter(pk=job.pk).update(rung_at=timezone.now())


def oldest_waiting() -> datetime | None:
    """When the oldest task that no worker has taken was put into the queue."""
    waiting = OrmQ.objects.filter(key=CLUSTER, lock__lte=timezone.now())
    oldest: datetime | None = waiting.aggregate(oldest=Min("lock"))["oldest"]
    return oldest
