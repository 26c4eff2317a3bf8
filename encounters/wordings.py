"""The wording of the three questions: as shipped, or a team's own. A version, once shown, never changes."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from encounters.callers import Caller
from encounters.models import ConsentWording, Purpose, Verb

if TYPE_CHECKING:
    from portal.accounts.models import Team

SHIPPED_VERSION = "2026-11b"
"""Of the texts below; changes when they do. What was agreed to keeps the text that was shown."""
SHIPPED = {
    "en-gb": {
        Purpose.DIAGNOSIS: "My clinic may watch my videos\n"
        "The staff who look after me use them to find out what is wrong and to treat me.",
        Purpose.RECORD: "Keep the videos in my patient record\nLater visits can then compare.",
        Purpose.RESEARCH: "The videos may be used for research and teaching\n"
        "My care stays the same if I leave this out.",
    },
    "cy": {
        Purpose.DIAGNOSIS: "Caiff fy nghlinig wylio fy fideos\n"
        "Mae'r staff sy'n gofalu amdanaf yn eu defnyddio i ganfod beth sydd o'i le ac i'm trin.",
        Purpose.RECORD: "Cadwch y fideos yn fy nghofnod claf\n"
        "Gellir eu cymharu wedyn mewn ymweliadau eraill.",
        Purpose.RESEARCH: "Caniateir defnyddio'r fideos ar gyfer ymchwil ac addysgu\n"
        "Bydd fy ngofal yn aros yr un fath os byddaf yn gadael hwn allan.",
    },
}
FALLBACK = "en-gb"


@dataclass(frozen=True, kw_only=True)
class Wording:
    """The three questions as a patient reads them. The first line of each is the statement."""

    version: str
    language: str
    texts: Mapping[Purpose, str]

    @property
    def name(self) -> str:
        """Tells this text from any other, in a form."""
        return f"{self.version} {self.language}"

    def parts(self, purpose: Purpose) -> tuple[str, str]:
        """The statement, and what explains it."""
        statement, _, rest = self.texts[purpose].partition("\n")
        return statement, rest

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over all three texts, for the access records."""
        whole = "\n\n".join(self.texts[purpose] for purpose in Purpose)
        return hashlib.sha256(whole.encode()).hexdigest()[:16]


def current(team: "Team", language: str) -> Wording:
    """What this team asks for now: its own newest wording, else the shipped one."""
    own = ConsentWording.objects.filter(team=team, language=language).first()
    if own:
        texts = {purpose: str(getattr(own, purpose)) for purpose in Purpose}
        return Wording(version=own.version, language=own.language, texts=texts)
    known = language if language in SHIPPED else FALLBACK
    return Wording(version=SHIPPED_VERSION, language=known, texts=SHIPPED[known])


@transaction.atomic
def add_version(
    *, caller: Caller, team: "Team", texts: Mapping[str, Mapping[Purpose, str]]
) -> list[ConsentWording]:
    """A new version of a team's wording, in every language at once. Older consents keep what they said."""
    assert caller.user is not None  # noqa: S101 - only staff get here
    day = timezone.localdate().isoformat()
    count = ConsentWording.objects.filter(team=team, version__startswith=day).values("version").distinct()
    version = f"{day}.{count.count() + 1}"
    added = [
        ConsentWording.objects.create(
            team=team,
            version=version,
            language=language,
            created_by=caller.user,
            **{purpose.value: words for purpose, words in asked.items()},
        )
        for language, asked in texts.items()
    ]
    caller.record(Verb.TEXTS_CHANGED, reason=f"consent wording {version} of team {team.code}")
    return added
