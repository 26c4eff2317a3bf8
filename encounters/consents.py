"""Giving and withdrawing consent, purpose by purpose."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from encounters import gate
from encounters.callers import Caller
from encounters.models import Consent, Encounter, Purpose, Relation, Verb
from encounters.wordings import Wording
from transcoding.errors import PortalError


class ConsentMissing(PortalError):
    code = "consent_missing"
    message = _("Please read and agree to the questions on the page before this one first.")
    status = 409


OPTIONAL = (Purpose.RECORD, Purpose.RESEARCH)


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """Whoever agrees in the patient's name."""

    name: str
    relation: Relation


@transaction.atomic
def give(
    *,
    caller: Caller,
    encounter: Encounter,
    wording: Wording,
    purposes: Collection[Purpose],
    proxy: Proxy | None = None,
) -> None:
    """Agree to these purposes in this wording. What stands already stays as it was.

    Raises `ConsentMissing`: without consent to diagnosis there is nothing else to agree to; and what
    `gate.still_open` raises.
    """
    gate.still_open(encounter)
    standing = set(encounter.consents.standing().values_list("purpose", flat=True))
    if Purpose.DIAGNOSIS not in standing | set(purposes):
        raise ConsentMissing
    new = [purpose for purpose in Purpose if purpose in purposes and purpose not in standing]
    now = timezone.now()
    for purpose in new:
        Consent.objects.create(
            encounter=encounter,
            purpose=purpose,
            given_at=now,
            version=wording.version,
            language=wording.language,
            text=wording.texts[purpose],
            relation=proxy.relation if proxy else "",
            proxy_name=proxy.name if proxy else "",
        )
    if new:
        words = f"{', '.join(new)}; wording {wording.version}, {wording.language}, {wording.digest}"
        by = f"; by {proxy.relation}" if proxy else ""
        caller.record(Verb.CONSENT_GIVEN, encounter=encounter, reason=words + by)


def give_later(*, caller: Caller, encounter: Encounter, wording: Wording, purpose: Purpose) -> None:
    """Agree to one more purpose. Who answered for the patient the first time answers still."""
    first = encounter.consents.standing().filter(purpose=Purpose.DIAGNOSIS).exclude(relation="").first()
    proxy = Proxy(name=first.proxy_name, relation=Relation(first.relation)) if first else None
    give(caller=caller, encounter=encounter, wording=wording, purposes=[purpose], proxy=proxy)


def overview(encounter: Encounter) -> list[tuple[Purpose, Consent | None]]:
    """What was last said to each purpose; empty if nothing ever was."""
    last = {consent.purpose: consent for consent in encounter.consents.all()}
    return [(purpose, last.get(purpose)) for purpose in Purpose] if last else []


@transaction.atomic
def withdraw(*, caller: Caller, encounter: Encounter, purposes: Collection[Purpose]) -> None:
    """Take consent to these purposes back, and nothing else: videos stay. Twice is once.

    Taking back consent to diagnosis is more than this: `encounters.erasure.withdraw`.
    """
    standing = encounter.consents.standing().filter(purpose__in=purposes)
    ended = list(standing.values_list("purpose", flat=True))
    if standing.update(withdrawn_at=timezone.now()):
        caller.record(Verb.CONSENT_WITHDRAWN, encounter=encounter, reason=", ".join(ended))
