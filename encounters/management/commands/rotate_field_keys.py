from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from encounters import encryption, rotation, search


class Command(BaseCommand):
    help = (
        "Encrypt and index under the first of FIELD_KEYS and FIELD_INDEX_KEYS what is under another one. "
        "The portal may run meanwhile; begun again, it goes on. Exits with 1 if something is left."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--batch", type=int, default=rotation.BATCH, help="rows in one transaction")
        parser.add_argument("--check", action="store_true", help="only say what is under which key")

    def handle(self, *args: Any, batch: int, check: bool, **options: Any) -> None:
        left = 0
        for model, fields in rotation.encrypted_fields():
            label = model._meta.label  # noqa: SLF001 - Django's own name for it
            if not check:
                moved, unreadable = rotation.rotate(model, fields, batch=batch)
                self.stdout.write(f"{label}: {moved} values moved to the key {encryption.present_key()!r}.")
                for pk in unreadable:
                    self.stderr.write(f"{label} {pk} cannot be read with the keys that are given.")
            for field in fields:
                left += self._report(
                    f"{label}.{field.name}", rotation.keys_of(model, field), encryption.present_key()
                )
        if not check:
            moved, stuck = rotation.index_anew(batch=batch)
            self.stdout.write(f"{moved} patients indexed under the key {search.present_key()!r}.")
            for pk in stuck:
                self.stderr.write(
                    f"Patient {pk} cannot be indexed: unreadable, or the record number is there twice."
                )
        left += self._report("index", rotation.index_keys(), search.present_key())
        if left:
            raise CommandError(f"{left} values are under another key than the present one.")
        old = [*list(settings.FIELD_KEYS)[1:], *list(settings.FIELD_INDEX_KEYS)[1:]]
        self.stdout.write(
            f"Nothing needs these keys any more: {', '.join(old)}." if old else "All is under one key."
        )

    def _report(self, what: str, counts: Any, present: str) -> int:
        """Say what is under which key; how many are not under the present one."""
        behind = {key: count for key, count in counts.items() if key != present}
        for key, count in sorted(behind.items(), key=str):
            self.stdout.write(f"{what}: {count} under {repr(key) if key else 'no key'}.")
        return sum(behind.values())
