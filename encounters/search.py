"""Finding patients whose names the database cannot read: a blind index.

Each word of a name is indexed by its beginnings, each as the first 64 bits of an HMAC under a key of its
own. Equal words give equal terms within one team and nowhere else. How many terms a patient has is rounded
up by terms that stand for nothing, so that the number does not tell how long the name is.
docs/security.md says what a copy of the index gives away.
"""

import hmac
import unicodedata
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from django.conf import settings

from encounters.encryption import derived

if TYPE_CHECKING:
    from encounters.patients import Patient

SHORTEST, LONGEST = 3, 12
"""Letters of an indexed beginning. A shorter word is indexed whole, a longer one by its first twelve."""
TERMS_AT_A_TIME = 16
MOST_WORDS = 8
"""More than that nobody types to find somebody."""
LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i", "ħ": "h"}
)
"""Letters that Unicode takes for letters of their own, and people type without their stroke."""


def plain(text: str) -> str:
    """Lower case without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in apart if not unicodedata.combining(sign)).translate(LETTERS)


def words(text: str) -> list[str]:
    """What stands between spaces, without punctuation: `obrien` for O'Brien."""
    joined = ("".join(filter(str.isalnum, word)) for word in plain(text).split())
    return [word for word in joined if word]


def _parts(text: str) -> Iterator[str]:
    """The words, and the parts of double-barrelled ones."""
    yield from words(text)
    yield from words("".join(sign if sign.isalnum() else " " for sign in plain(text)))


def _beginnings(word: str) -> Iterator[str]:
    yield word[:LONGEST]
    for length in range(SHORTEST, min(len(word), LONGEST)):
        yield word[:length]


def present_key() -> str:
    """Name of the key under which everything new is indexed."""
    return next(iter(settings.FIELD_INDEX_KEYS))


def _digest(key: str, *said: str | int) -> bytes:
    secret = derived(settings.FIELD_INDEX_KEYS[key], "index")
    return hmac.digest(secret, "\0".join(map(str, said)).encode(), "sha256")


def _term(key: str, *said: str | int) -> int:
    """A signed number of 64 bits: what a database holds best."""
    return int.from_bytes(_digest(key, *said)[:8], signed=True)


def number_index(team: int, record_number: str, *, key: str | None = None) -> str:
    """What is unique in place of the record number: 64 hexadecimal digits."""
    return _digest(key or present_key(), "unique", team, record_number).hex()


def number_indexes(team: int, record_number: str) -> list[str]:
    """Under each key that may still be in use."""
    return [number_index(team, record_number, key=key) for key in settings.FIELD_INDEX_KEYS]


def terms(patient: "Patient") -> set[int]:
    """All that this patient is to be found by, under the present key."""
    key, team = present_key(), patient.team_id
    names = {*_parts(patient.given_name), *_parts(patient.family_name)}
    found = {_term(key, "name", team, start) for word in names for start in _beginnings(word)}
    found.add(_term(key, "number", team, "".join(words(patient.record_number))))
    # The same ones each time: which ones come and go would tell which ones stand for nothing.
    filling = -len(found) % TERMS_AT_A_TIME
    return found | {_term(key, "nothing", team, patient.pk, number) for number in range(filling)}


def terms_for_word(word: str, teams: Iterable[int]) -> list[int]:
    """Any of these means: a word of the name begins so, or is this one."""
    return [_term(key, "name", team, word[:LONGEST]) for key in settings.FIELD_INDEX_KEYS for team in teams]


def terms_for_number(text: str, teams: Iterable[int]) -> list[int]:
    number = "".join(words(text))
    return [_term(key, "number", team, number) for key in settings.FIELD_INDEX_KEYS for team in teams]
