from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from encounters import erasure
from transcoding.engine.store import StoreError


class Command(BaseCommand):
    help = "List the store for what was ever erased, and check the proofs. Exits with 1 if one is amiss."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--erase", action="store_true", help="remove what is there, and prove that")

    def handle(self, *args: Any, erase: bool, **options: Any) -> None:
        problems = list(erasure.forged_proofs())
        try:
            left = list(erasure.leftovers(erase=erase))
        except StoreError as error:
            raise CommandError(f"The store does not answer: {error.code}.") from error
        problems += [] if erase else [f"Something of {place} is in the store." for place in left]
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            raise CommandError(f"{len(problems)} erasures are not as recorded.")
        self.stdout.write(f"Removed what was left of {len(left)}." if left else "Nothing is left.")
