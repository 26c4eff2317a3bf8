"""Telling the clinician what arrived: one message for all that is there, without patient data."""

from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Q
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django_q.tasks import async_task

from encounters.models import FINAL_VIDEO_STATES, Encounter, Video, VideoState
from transcoding.models import TranscodeJob


def on_job_finished(job: TranscodeJob, **kwargs: Any) -> None:
    """Queue the message, in the transaction in which the job ended."""
    video = Video.objects.filter(job=job).select_related("encounter").first()
    if video is not None:
        async_task("encounters.notices.tell", video.encounter.reference, group="notice")


def tell(reference: str) -> str:
    """Tell whoever sent the link, once all that arrived so far is converted or given up."""
    encounter = Encounter.objects.get(reference=reference)
    videos = list(encounter.videos.received().select_related("job"))
    if not videos or any(video.state not in FINAL_VIDEO_STATES for video in videos):
        return "not yet"
    last = max(video.job.finished_at for video in videos if video.job and video.job.finished_at)
    untold = Encounter.objects.filter(Q(notified_at__isnull=True) | Q(notified_at__lt=last), pk=encounter.pk)
    previous = encounter.notified_at
    if not untold.update(notified_at=timezone.now()):
        return "told before"
    try:
        _send(encounter, is_watchable=any(video.state == VideoState.READY for video in videos))
    except OSError:
        # The mail server is away: let a later task tell, and say nothing twice.
        Encounter.objects.filter(pk=encounter.pk).update(notified_at=previous)
        raise
    return "told"


def _send(encounter: Encounter, *, is_watchable: bool) -> None:
    invitation = encounter.invitations.select_related("created_by").first()
    clinician = invitation.created_by if invitation else encounter.created_by
    address = settings.BASE_URL + reverse("encounter", args=[encounter.reference])
    body = render_to_string(
        "encounters/email/arrived.txt", {"address": address, "is_watchable": is_watchable}
    )
    send_mail("A patient has sent videos", body, None, [clinician.email])


def tell_of_opening(reference: str) -> None:
    """Tell whose encounter it is that an admin looked. The reason may name the patient: it stays inside."""
    encounter = Encounter.objects.select_related("created_by").get(reference=reference)
    address = settings.BASE_URL + reverse("access_records", args=[reference])
    body = render_to_string("encounters/email/opened.txt", {"address": address})
    send_mail("An administrator opened one of your encounters", body, None, [encounter.created_by.email])


def tell_of_withdrawal(reference: str) -> None:
    """Tell whose encounter it is that there is nothing to be watched any more."""
    encounter = Encounter.objects.select_related("created_by").get(reference=reference)
    address = settings.BASE_URL + reverse("encounter", args=[reference])
    body = render_to_string("encounters/email/withdrawn.txt", {"address": address})
    send_mail("Consent was withdrawn for one of your encounters", body, None, [encounter.created_by.email])
