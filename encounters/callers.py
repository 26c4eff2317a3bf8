"""Who is asking: a member of staff, or a patient who came by a link and gave the date of birth."""

import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from encounters.models import AccessRecord, Encounter, Invitation, Verb, Video
from transcoding.errors import PortalError
from transcoding.models import TranscodeJob

if TYPE_CHECKING:
    from portal.accounts.models import User

SESSION_KEY = "invitation"
PATIENT_SESSION_SECONDS = 4 * 3600
SESSION_RENEWED_AFTER = 60
"""Writing the session with each part of a video would cost more than signing it."""


class LinkNeeded(PortalError):
    code = "link_needed"
    message = _("Please open the link from your clinic again. If it no longer works, ask them for a new one.")
    status = 403


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Exactly one of `user` and `invitation` is set, or neither: a stranger, or the portal itself."""

    user: "User | None" = None
    invitation: Invitation | None = None
    address: str | None = None

    def record(
        self,
        verb: Verb,
        *,
        encounter: Encounter | None = None,
        video: Video | None = None,
        reason: str = "",
    ) -> AccessRecord:
        """Write what this caller does. Belongs into the transaction of the act itself, at its end."""
        return AccessRecord.objects.create(
            verb=verb,
            user=self.user,
            invitation=self.invitation,
            encounter=encounter,
            video=video,
            address=self.address,
            reason=reason,
        )


PORTAL = Caller()
"""The portal acting by itself: a scheduled task."""


def address_of(request: HttpRequest) -> str | None:
    """The client's address; behind proxies of ours, the one that the outermost of them saw."""
    address = request.META.get("REMOTE_ADDR", "")
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    if 0 < settings.TRUSTED_PROXIES <= len(hops):
        address = hops[-settings.TRUSTED_PROXIES]
    return address if _is_address(address) else None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def staff(request: HttpRequest) -> Caller:
    user: Any = request.user
    return Caller(user=user, address=address_of(request))


def patient(request: HttpRequest) -> Caller:
    """The patient of this session, if the link still holds. Raises `LinkNeeded`."""
    entry = request.session.get(SESSION_KEY) or {}
    if entry.get("until", 0) < time.time():
        raise LinkNeeded
    invitation = (
        Invitation.objects.usable().select_related("encounter__patient").filter(pk=entry["id"]).first()
    )
    if invitation is None:
        raise LinkNeeded
    return Caller(invitation=invitation, address=address_of(request))


def let_in(request: HttpRequest, invitation: Invitation) -> None:
    """Remember that this browser gave the right date of birth, for a few hours."""
    request.session.cycle_key()
    stay(request, invitation)


def stay(request: HttpRequest, invitation: Invitation) -> None:
    """Begin the few hours anew: an upload on a slow line must not be cut off by the clock."""
    until = time.time() + PATIENT_SESSION_SECONDS
    known = request.session.get(SESSION_KEY) or {}
    if known.get("id") != invitation.pk or known["until"] < until - SESSION_RENEWED_AFTER:
        request.session[SESSION_KEY] = {"id": invitation.pk, "until": until}


def on_job_retried(job: TranscodeJob, request: HttpRequest, **kwargs: Any) -> None:
    video = Video.objects.filter(job=job).select_related("encounter").first()
    encounter = video.encounter if video else None
    staff(request).record(Verb.CONVERSION_RETRIED, encounter=encounter, video=video)
