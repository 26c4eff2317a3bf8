"""Reading the access records: who has seen an encounter, and whether the records are whole."""

import csv
import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connections, router
from django.db.models import Count, Max, Q, Sum

from encounters import append_only, chain
from encounters.models import SEEING, AccessRecord, Encounter, Verb

logger = logging.getLogger(__name__)


COLUMNS = ("number", "at", "who", "role", "act", "video", "seconds", "address", "reason", "digest")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet compute instead of show."""


def seen_by(encounter: Encounter) -> list[dict[str, Any]]:
    """Each member of staff who has seen it: `user__name`, `user__role`, `views`, `plays`, `watched`, `last`.

    `watched`: seconds of all viewings, None if no player told any; within a viewing each second counts once.
    """
    seeing = encounter.access_records.filter(verb__in={*SEEING, Verb.SECONDS_WATCHED}, user__isnull=False)
    people: Any = (
        seeing.order_by()
        .values("user", "user__name", "user__role")
        .annotate(
            views=Count("pk", filter=Q(verb=Verb.ENCOUNTER_VIEWED)),
            plays=Count("pk", filter=Q(verb=Verb.VIDEO_PLAYED)),
            watched=Sum("seconds"),
            last=Max("at", filter=Q(verb__in=SEEING)),
        )
    )
    return list(people.order_by("-last"))


def as_csv(encounter: Encounter) -> str:
    """All that was done to this encounter, oldest first, under a line of column names."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for record in encounter.access_records.select_related("user"):
        writer.writerow([_harmless(cell) for cell in _row(record)])
    return out.getvalue()


def _row(record: AccessRecord) -> list[str]:
    return [
        str(record.number),
        record.at.isoformat(timespec="seconds"),
        record.who,
        record.user.role if record.user else "",
        record.verb,
        str(record.video_id or ""),
        "" if record.seconds is None else str(record.seconds),
        record.address or "",
        record.reason,
        record.digest,
    ]


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last record: with it written down elsewhere, nobody can cut the end off unseen."""

    number: int
    digest: str

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"


def head() -> Head:
    number, digest = AccessRecord.objects.values_list("number", "digest").last() or (0, chain.BEGINNING)
    return Head(number=number, digest=digest)


def log_head() -> str:
    """Write the head where logs are kept, out of reach of who can write to the database. Scheduled."""
    found = head()
    logger.info("audit head", extra={"number": found.number, "digest": found.digest})
    return str(found)


def problems(known: Head | None = None) -> Iterator[str]:
    """What is wrong with the chain, one sentence each; `known` is a head that was written down earlier."""
    connection = connections[router.db_for_read(AccessRecord)]
    yield from (f"The trigger {name} is missing." for name in append_only.missing(connection))
    last = Head(number=0, digest=chain.BEGINNING)
    for record in AccessRecord.objects.order_by("number").iterator():
        yield from _problems_of(record, last)
        if known and known.number == record.number and known.digest != record.digest:
            yield f"Record {record.number} is not the one that was the head before."
        last = Head(number=record.number, digest=record.digest)
    if known and known.number > last.number:
        yield f"Records {last.number + 1} to {known.number} are missing at the end."


def _problems_of(record: AccessRecord, last: Head) -> Iterator[str]:
    if record.number != last.number + 1:
        yield f"Records {last.number + 1} to {record.number - 1} are missing."
    elif record.previous != last.digest:
        yield f"Record {record.number} does not follow from the one before."
    if chain.digest_of(record) != record.digest:
        yield f"Record {record.number} was changed."
