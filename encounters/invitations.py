"""Links, the date of birth that opens them, and what the patient says."""

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, IntegerField, Q, Value, When
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext

from encounters import gate, messages
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

LONGEST_LOCK = timedelta(days=1)


class LinkLocked(PortalError):
    code = "link_locked"
    status = 429

    def __init__(self, *, until: datetime) -> None:
        minutes = max(1, math.ceil((until - timezone.now()).total_seconds() / 60))
        self.message = ngettext(
            "That was wrong too many times. Please wait %(minutes)d minute, then try again. "
            "Or ask your clinic for a new link.",
            "That was wrong too many times. Please wait %(minutes)d minutes, then try again. "
            "Or ask your clinic for a new link.",
            minutes,
        ) % {"minutes": minutes}
        super().__init__()


class NoAddress(PortalError):
    code = "no_address"
    message = "There is no e-mail address for this patient. Show the link or the QR code instead."
    status = 409


class NoMobile(PortalError):
    code = "no_mobile"
    message = "There is no mobile number for this patient. Show the link or the QR code instead."
    status = 409


class EncounterClosed(PortalError):
    code = "encounter_closed"
    message = "This encounter is closed. Open a new one to ask for more videos."
    status = 409


def link_to(token: str) -> str:
    return settings.BASE_URL + reverse("patient_link", args=[token])


def invite(
    *, caller: Caller, encounter: Encounter, channel: Channel, language: str = settings.LANGUAGE_CODE
) -> str:
    """Make a link, send it if the channel is a message, and give its address, this once. See `issue`."""
    return issue(caller=caller, encounter=encounter, channel=channel, language=language)[1]


def issue(*, caller: Caller, encounter: Encounter, channel: Channel, language: str) -> tuple[Invitation, str]:
    """A new link and its address. If its message could not be sent, `failure` says why.

    Raises `NoAddress`, `NoMobile`, `EncounterClosed`.
    """
    if encounter.closed_at or encounter.withdrawn_at:
        raise EncounterClosed
    if channel == Channel.EMAIL and not encounter.patient.email:
        raise NoAddress
    if channel == Channel.SMS and not encounter.patient.mobile:
        raise NoMobile
    invitation, link = _make(caller, encounter, channel, language)
    if channel != Channel.SCREEN:
        messages.deliver(caller=caller, invitation=invitation, link=link)
    return invitation, link


@transaction.atomic
def _make(caller: Caller, encounter: Encounter, channel: Channel, language: str) -> tuple[Invitation, str]:
    assert caller.user is not None  # noqa: S101 - only staff get here
    gate.still_open(encounter)
    token = new_token()
    invitation = Invitation.objects.create(
        encounter=encounter,
        token_hash=token_hash(token),
        channel=channel,
        language=language,
        created_by=caller.user,
        expires_at=expiry(settings.INVITATION_DAYS),
    )
    caller.record(Verb.LINK_CREATED, encounter=encounter, reason=channel.label)
    return invitation, link_to(token)


def send_again(*, caller: Caller, invitation: Invitation) -> tuple[Invitation, str]:
    """The same message with a new link: the old one's token is stored nowhere.

    A link that never went out is withdrawn; one that did keeps working, for it may be open on a phone.
    Raises what `issue` raises.
    """
    fresh = issue(
        caller=caller,
        encounter=invitation.encounter,
        channel=Channel(invitation.channel),
        language=invitation.language,
    )
    if invitation.failure:
        revoke(caller=caller, invitation=invitation)
    return fresh


@transaction.atomic
def revoke(*, caller: Caller, invitation: Invitation) -> None:
    """Close a link at once. Twice is once."""
    revoked = Invitation.objects.filter(pk=invitation.pk, revoked_at__isnull=True)
    if revoked.update(revoked_at=timezone.now()):
        caller.record(Verb.LINK_REVOKED, encounter=invitation.encounter)


def check_birth_date(*, caller: Caller, invitation: Invitation, given: date, is_known: bool = False) -> bool:
    """Whether this is the patient. Raises `LinkLocked` after too many wrong dates.

    `is_known`: this browser gave the right date before, so that its tries are counted apart: strangers who
    guess do not lock it out. A try is counted, and the link locked by the last one, before it is judged:
    many at once get no more tries than one by one, and a crash in between leaves nothing locked for ever.
    """
    tries = OF_KNOWN if is_known else OF_STRANGERS
    if not _count_try(invitation, tries):
        invitation.refresh_from_db()
        raise LinkLocked(until=getattr(invitation, tries.locked_until) or timezone.now())
    with transaction.atomic():
        if given == invitation.encounter.patient.birth_date:
            _opened(caller, invitation, tries)
            return True
        caller.record(Verb.BIRTH_DATE_WRONG, encounter=invitation.encounter)
        return False


@dataclass(frozen=True, kw_only=True)
class Tries:
    """Columns of a link's row that count wrong dates."""

    failed: str
    locked_until: str
    locks: str


OF_STRANGERS = Tries(failed="failed_attempts", locked_until="locked_until", locks="locks")
OF_KNOWN = Tries(failed="known_failed_attempts", locked_until="known_locked_until", locks="known_locks")


def _count_try(invitation: Invitation, tries: Tries) -> bool:
    """Count one try, in one statement. False: the link is locked. A lock that is over begins anew at one.

    Each lock is twice as long as the one before, up to a day: guessing on and on gets a stranger about a
    hundred tries in two weeks. It ends by itself, and a new link from the clinic is not locked at all.
    """
    now = timezone.now()
    is_free = Q(**{f"{tries.locked_until}__isnull": True})
    lock_is_over = Q(**{f"{tries.locked_until}__lte": now})
    is_last_try = is_free & Q(**{f"{tries.failed}__gte": MAX_WRONG_BIRTH_DATES - 1})
    locked_until = Case(
        *[When(is_last_try & Q(**{tries.locks: n}), then=Value(now + LOCK_TIME * 2**n)) for n in range(7)],
        When(is_last_try, then=Value(now + LONGEST_LOCK)),
        default=None,
    )
    whole = IntegerField()
    counted = Invitation.objects.filter(is_free | lock_is_over, pk=invitation.pk).update(
        **{
            tries.failed: Case(When(lock_is_over, then=1), default=F(tries.failed) + 1, output_field=whole),
            tries.locks: Case(
                When(is_last_try, then=F(tries.locks) + 1), default=F(tries.locks), output_field=whole
            ),
            tries.locked_until: locked_until,
        }
    )
    return bool(counted)


def _opened(caller: Caller, invitation: Invitation, tries: Tries) -> None:
    mine = Invitation.objects.filter(pk=invitation.pk)
    mine.update(**{tries.failed: 0, tries.locked_until: None})
    mine.filter(first_used_at__isnull=True).update(first_used_at=timezone.now())
    caller.record(Verb.LINK_OPENED, encounter=invitation.encounter)


@transaction.atomic
def describe(*, caller: Caller, encounter: Encounter, description: str) -> None:
    """Keep the patient's own words. Raises what `gate.still_open` raises."""
    gate.still_open(encounter)
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
