"""The chain of access records: each holds the digest of the one before, so that none can be changed unseen.

A digest is the SHA-256 of a record's fields and of the digest before it. Whoever changes, removes or adds
a record must compute all later ones anew; a head that was written down elsewhere then no longer fits.
"""

import hashlib
import json
from datetime import UTC
from ipaddress import ip_address
from typing import Any

from django.db import connections

BEGINNING = "0" * 64
"""What the first record holds in place of a digest."""
LOCK = 0x61756469
"""Names the advisory lock under which records are added on PostgreSQL."""


def digest_of(record: Any) -> str:
    """64 hexadecimal digits over all that the record says, its number and the digest before it."""
    said = [
        record.number,
        record.at.astimezone(UTC).isoformat(timespec="microseconds"),
        record.verb,
        record.user_id,
        record.invitation_id,
        record.encounter_id,
        str(record.video_id) if record.video_id else None,
        ip_address(record.address).packed.hex() if record.address else None,
        record.reason,
        record.previous,
    ]
    # Records from before there were seconds keep their digest.
    if getattr(record, "seconds", None) is not None:
        said.append(record.seconds)
    return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def take_turns(using: str) -> None:
    """Until this transaction ends, no other one adds a record.

    SQLite has one writer anyway. A transaction should write its record last: what it locks after this,
    others may hold who wait for their turn here.
    """
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
