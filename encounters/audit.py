"""Reading the access records: whether they are whole."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connections, router

from encounters import append_only, chain
from encounters.models import AccessRecord

logger = logging.getLogger(__name__)


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
