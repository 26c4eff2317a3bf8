import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from encounters import audit
from encounters.audit import Head

HEAD = re.compile(r"(\d+):([0-9a-f]{64})")


def a_head(text: str) -> Head:
    found = HEAD.fullmatch(text)
    if found is None:
        raise ArgumentTypeError("a head looks like NUMBER:DIGEST, as this command prints it")
    return Head(number=int(found[1]), digest=found[2])


class Command(BaseCommand):
    help = "Prove that no access record was changed, removed or put in between. Exits with 1 if one was."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--head",
            type=a_head,
            help="a head printed or logged earlier: proves that nothing was cut off since",
        )

    def handle(self, *args: Any, head: Head | None, **options: Any) -> None:
        found = list(audit.problems(head))
        for problem in found:
            self.stderr.write(problem)
        if found:
            raise CommandError(f"The access records are not whole: {len(found)} problems.")
        last = audit.head()
        self.stdout.write(f"{last.number} access records, unbroken. Head: {last}")
