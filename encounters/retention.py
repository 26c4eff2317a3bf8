"""How long encounters are kept: as their team says, or until a day of their own. What is over is erased."""

from datetime import date, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Max, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from encounters import gate
from encounters.callers import Caller
from encounters.models import Encounter, Verb

SOON_DAYS = 14
"""So long before, the page says that the end is near."""


def with_last(encounters: Any) -> Any:
    """Adds `last`: when the last video was received, or the encounter was opened if none was; and `link`:
    until when its patient may send more, if they may."""
    still = Q(invitations__revoked_at__isnull=True, closed_at__isnull=True)
    return encounters.annotate(
        last=Coalesce(Max("videos__received_at"), F("opened_at")),
        link=Max("invitations__expires_at", filter=still),
    )


def keep_until(encounter: Encounter) -> date | None:
    """The last day on which it is kept. None: for good."""
    if encounter.retain_until or encounter.team.retention_days is None:
        return encounter.retain_until
    found = with_last(Encounter.objects.order_by()).values_list("last", "link").get(pk=encounter.pk)
    last, link = (timezone.localdate(at) if at else None for at in found)
    assert last is not None  # noqa: S101 - every encounter was opened
    until = last + timedelta(days=encounter.team.retention_days)
    return max(until, link) if link else until


def over() -> Any:
    """Encounters whose last day has passed, and that nobody has erased."""
    today = timezone.localdate()
    is_over = Q(retain_until__lt=today)
    for days in set(Encounter.objects.order_by().values_list("team__retention_days", flat=True)):
        if days is None:
            continue
        by_team = Q(retain_until__isnull=True, team__retention_days=days)
        no_link = Q(link__isnull=True) | Q(link__date__lt=today)
        is_over |= by_team & no_link & Q(last__date__lt=today - timedelta(days=days))
    return with_last(Encounter.objects.filter(erased_at__isnull=True)).filter(is_over)


@transaction.atomic
def keep(*, caller: Caller, encounter: Encounter, until: date | None) -> None:
    """Keep it until the end of this day; None: as long as its team keeps such. Raises `gate.TooLate`."""
    now = Encounter.objects.select_for_update(no_key=True).get(pk=encounter.pk)
    if now.erased_at or gate.is_being_erased(encounter):
        raise gate.TooLate
    Encounter.objects.filter(pk=encounter.pk).update(retain_until=until)
    said = f"until {until.isoformat()}" if until else "as the team's others"
    caller.record(Verb.RETENTION_CHANGED, encounter=encounter, reason=said)
