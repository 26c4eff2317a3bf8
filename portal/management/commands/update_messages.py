"""Bring the catalogues in `locale/` up to date with what templates, Python and scripts say, and compile them.

The compiled catalogues are committed: the product then needs neither Babel nor GNU gettext to run. Babel,
which this command needs, comes with `make setup-dev`.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import template as django_template

PYTHON: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "translatable": None,
}
SCRIPT: dict[str, Any] = {"t": None, "tn": (1, 2)}
PACKAGES = ("encounters", "portal", "transcoding")
NO_WRAP = 0


def extracted(domain: str) -> Iterator[tuple[str, Any]]:
    """(file, message) of all that is marked for translation; a message of two strings is counted."""
    from babel.messages.extract import extract  # noqa: PLC0415 - for developers

    for path, code in sorted(_scripts() if domain == "djangojs" else _sources()):
        method = "javascript" if domain == "djangojs" else "python"
        keywords = SCRIPT if domain == "djangojs" else PYTHON
        for _, message, _, _ in extract(method, io.BytesIO(code.encode()), keywords=keywords):
            yield str(path.relative_to(settings.BASE_DIR)), message


def _sources() -> Iterator[tuple[Path, str]]:
    for package in PACKAGES:
        for path in (settings.BASE_DIR / package).rglob("*.py"):
            if "migrations" not in path.parts:
                yield path, path.read_text()
    for path in (settings.BASE_DIR / "templates").rglob("*.*"):
        code = django_template.templatize(path.read_text(), str(path))
        # What it blanks out keeps its indentation, which no Python would have.
        yield path, "\n".join(line.lstrip() for line in code.splitlines())


def _scripts() -> Iterator[tuple[Path, str]]:
    for path in (settings.BASE_DIR / "encounters/static/encounters").glob("*.js"):
        yield path, path.read_text()


def updated(domain: str, path: Path) -> Any:
    """The catalogue at `path` with exactly the messages that are in use; new ones are empty."""
    from babel.messages.catalog import Catalog  # noqa: PLC0415 - for developers
    from babel.messages.pofile import read_po  # noqa: PLC0415

    with path.open("rb") as file:
        catalogue = read_po(file, domain=domain)
    template = Catalog(fuzzy=False)
    for source, message in extracted(domain):
        template.add(message, locations=[(source, 0)])
    catalogue.update(template, no_fuzzy_matching=True, keep_user_comments=True, update_creation_date=False)
    catalogue.obsolete.clear()
    catalogue.msgid_bugs_address = catalogue.last_translator = catalogue.language_team = ""
    return catalogue


def written(catalogue: Any) -> tuple[bytes, bytes]:
    """As text, and compiled."""
    from babel.messages.mofile import write_mo  # noqa: PLC0415 - for developers
    from babel.messages.pofile import write_po  # noqa: PLC0415

    text, compiled = io.BytesIO(), io.BytesIO()
    write_po(text, catalogue, width=NO_WRAP, include_lineno=False, sort_by_file=True)
    write_mo(compiled, catalogue)
    return text.getvalue(), compiled.getvalue()


def catalogues() -> Iterator[tuple[str, Path]]:
    """(domain, path) of each catalogue."""
    for path in sorted((settings.BASE_DIR / "locale").glob("*/LC_MESSAGES/*.po")):
        yield path.stem, path


class Command(BaseCommand):
    help = "Collect what is to be translated into locale/*/LC_MESSAGES/*.po, and compile these."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            import babel  # noqa: F401, PLC0415 - for developers
        except ImportError as error:
            raise CommandError("This needs Babel: `make setup-dev` installs it.") from error
        for domain, path in catalogues():
            catalogue = updated(domain, path)
            text, compiled = written(catalogue)
            path.write_bytes(text)
            path.with_suffix(".mo").write_bytes(compiled)
            missing = sum(1 for message in catalogue if message.id and not _is_translated(message))
            self.stdout.write(f"{path.relative_to(settings.BASE_DIR)}: {missing} to translate")


def _is_translated(message: Any) -> bool:
    strings = message.string if isinstance(message.string, tuple | list) else [message.string]
    return all(strings) and not message.fuzzy
