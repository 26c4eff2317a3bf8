"""Links, the date of birth that opens them, and what the patient says."""

from datetime import date

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from encounters.callers import Caller
from encounters.consents import ConsentMissing
from encounters.keys import new_token, token_hash
from encounters.models import (
    LOCK_TIME,
    MAX_WRONG_BIRTH_DATES,
    Channel,
    Encounter,
    Invitation,
    Verb,
    expiry,
)
from transcoding.errors import PortalError


class LinkLocked(PortalError):
    code = "link_locked"
    message = "That was wrong too many times. Please wait 15 minutes, then try again."
    status = 429


class NoAddress(PortalError):
    code = "no_address"
    message = "There is no e-mail address for this patient. Show the link or the QR code instead."
    status = 409


class EncounterClosed(PortalError):
    code = "encounter_closed"
    message = "This encounter is closed. Open a new one to ask for more videos."
    status = 409


def link_to(token: str) -> str:
    return settings.BASE_URL + reverse("patient_link", args=[token])


@transaction.atomic
def invite(*, caller: Caller, encounter: Encounter, channel: Channel) -> str:
    """Make a link, send it if the channel is a message, and give its address, this once.

    Raises `NoAddress`, `EncounterClosed`.
    """
    if encounter.closed_at:
        raise EncounterClosed
    if channel == Channel.EMAIL and not encounter.patient.email:
        raise NoAddress
    assert caller.user is not None  # noqa: S101 - only staff get here
    token = new_token()
    invitation = Invitation.objects.create(
        encounter=encounter,
        token_hash=token_hash(token),
        channel=channel,
        created_by=caller.user,
        expires_at=expiry(settings.INVITATION_DAYS),
    )
    link = link_to(token)
    if channel == Channel.EMAIL:
        _send(invitation, link)
    caller.record(Verb.LINK_CREATED, encounter=encounter, reason=channel.label)
    return link


def _send(invitation: Invitation, link: str) -> None:
    """The message names neither the patient nor the reason: others may read over the shoulder."""
    context = {"link": link, "team": invitation.encounter.team, "expires_at": invitation.expires_at}
    send_mail(
        "Please send your video to your clinic",
        render_to_string("encounters/email/invitation.txt", context),
        None,
        [invitation.encounter.patient.email],
    )


@transaction.atomic
def revoke(*, caller: Caller, invitation: Invitation) -> None:
    """Close a link at once. Twice is once."""
    revoked = Invitation.objects.filter(pk=invitation.pk, revoked_at__isnull=True)
    if revoked.update(revoked_at=timezone.now()):
        caller.record(Verb.LINK_REVOKED, encounter=invitation.encounter)


def check_birth_date(*, caller: Caller, invitation: Invitation, given: date) -> bool:
    """Whether this is the patient. Raises `LinkLocked` after too many wrong dates.

    A try is counted, and the link locked by the last one, before it is judged: many at once get no
    more tries than one by one, and a crash in between leaves nothing locked for ever.
    """
    if not _count_try(invitation):
        raise LinkLocked
    with transaction.atomic():
        if given == invitation.encounter.patient.birth_date:
            _opened(caller, invitation)
            return True
        caller.record(Verb.BIRTH_DATE_WRONG, encounter=invitation.encounter)
        return False


def _count_try(invitation: Invitation) -> bool:
    """Count one try, in one statement. False: the link is locked. A lock that is over begins anew at one."""
    now = timezone.now()
    lock_is_over = Q(locked_until__lte=now)
    is_last_try = Q(locked_until__isnull=True, failed_attempts__gte=MAX_WRONG_BIRTH_DATES - 1)
    unlocked = Invitation.objects.filter(Q(locked_until__isnull=True) | lock_is_over, pk=invitation.pk)
    counted = unlocked.update(
        failed_attempts=Case(When(lock_is_over, then=Value(1)), default=F("failed_attempts") + 1),
        locked_until=Case(When(is_last_try, then=Value(now + LOCK_TIME)), default=None),
    )
    return bool(counted)


def _opened(caller: Caller, invitation: Invitation) -> None:
    mine = Invitation.objects.filter(pk=invitation.pk)
    mine.update(failed_attempts=0, locked_until=None)
    mine.filter(first_used_at__isnull=True).update(first_used_at=timezone.now())
    caller.record(Verb.LINK_OPENED, encounter=invitation.encounter)


@transaction.atomic
def describe(*, caller: Caller, encounter: Encounter, description: str) -> None:
    Encounter.objects.filter(pk=encounter.pk).update(description=description)
    caller.record(Verb.DESCRIBED, encounter=encounter)


@transaction.atomic
def submit(*, caller: Caller, encounter: Encounter) -> None:
    """The patient says that this was all. Nothing depends on it: what arrived has arrived.

    Raises `ConsentMissing`.
    """
    if not encounter.consented:
        raise ConsentMissing
    Encounter.objects.filter(pk=encounter.pk).update(submitted_at=timezone.now())
    caller.record(Verb.SUBMITTED, encounter=encounter)
