"""Who is asking: a member of staff, or a patient who came by a link and gave the date of birth."""

import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from encounters import languages
from encounters.models import AccessRecord, Encounter, Invitation, Verb, Video
from transcoding.errors import PortalError
from transcoding.models import TranscodeJob

if TYPE_CHECKING:
    from portal.accounts.models import User

SESSION_KEY = "invitation"
ASKED_KEY = "asked"
KNOWN_COOKIE = "__Host-known" if settings.HTTPS else "known"
"""Of a browser that gave the right date of birth before: for which links, signed."""
KNOWN_LINKS = 10
PATIENT_SESSION_SECONDS = 4 * 3600
SESSION_RENEWED_AFTER = 60
"""Writing the session with each part of a video would cost more than signing it."""


class LinkNeeded(PortalError):
    code = "link_needed"
    message = _("Please open the link from your clinic again. If it no longer works, ask them for a new one.")
    status = 403


class LinkClosed(PortalError):
    """Says the same whatever closed it: before the date of birth nobody learns anything of the patient."""

    code = "link_closed"
    heading = _("This link is closed")
    message = _("It takes no more videos. If you have a question, phone your clinic.")
    status = 403


class Withdrawn(PortalError):
    """The patient of this session took everything back."""

    code = "withdrawn"
    heading = _("You took everything back")
    message = _("Nobody can watch your videos any more. This link takes no more videos.")
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
        seconds: int | None = None,
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
            seconds=seconds,
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
    return Caller(invitation=_remembered(request, SESSION_KEY), address=address_of(request))


def _remembered(request: HttpRequest, key: str) -> Invitation:
    entry = request.session.get(key) or {}
    if entry.get("until", 0) < time.time():
        raise LinkNeeded
    usable = Invitation.objects.usable().select_related("encounter__patient", "encounter__team")
    invitation = usable.filter(pk=entry["id"]).first()
    if invitation is None and _is_withdrawn(entry["id"]):
        raise Withdrawn if key == SESSION_KEY else LinkClosed
    if invitation is None:
        raise LinkNeeded
    return invitation


def _is_withdrawn(pk: int) -> bool:
    return Invitation.objects.filter(pk=pk, encounter__withdrawn_at__isnull=False).exists()


def took_all_back(request: HttpRequest) -> bool:
    """Whether the patient of this session withdrew consent to diagnosis."""
    entry = request.session.get(SESSION_KEY) or {}
    return entry.get("until", 0) >= time.time() and _is_withdrawn(entry["id"])


def ask(request: HttpRequest, invitation: Invitation) -> None:
    """Remember which link this browser opened, so that its token need not stay in the address."""
    request.session[ASKED_KEY] = {"id": invitation.pk, "until": time.time() + PATIENT_SESSION_SECONDS}
    request.session[languages.SESSION_KEY] = invitation.language


def asked(request: HttpRequest) -> Invitation:
    """The link that this browser opened, before the date of birth. Raises `LinkNeeded`."""
    return _remembered(request, ASKED_KEY)


def let_in(request: HttpRequest, invitation: Invitation) -> None:
    """Remember that this browser gave the right date of birth, for a few hours."""
    request.session.cycle_key()
    request.session.pop(ASKED_KEY, None)
    stay(request, invitation)


def _known_links(request: HttpRequest) -> list[int]:
    try:
        known = signing.loads(request.COOKIES.get(KNOWN_COOKIE, ""), salt=KNOWN_COOKIE)
    except signing.BadSignature:
        return []
    return [pk for pk in known if isinstance(pk, int)] if isinstance(known, list) else []


def is_known(request: HttpRequest, invitation: Invitation) -> bool:
    """Whether this browser gave the right date of birth for this link before.

    Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
    """
    return invitation.pk in _known_links(request)


def make_known(request: HttpRequest, response: HttpResponse, invitation: Invitation) -> None:
    others = [pk for pk in _known_links(request) if pk != invitation.pk]
    response.set_cookie(
        KNOWN_COOKIE,
        signing.dumps([invitation.pk, *others][:KNOWN_LINKS], salt=KNOWN_COOKIE),
        max_age=settings.INVITATION_DAYS * 24 * 3600,
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


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
