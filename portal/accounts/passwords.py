"""Passwords that are long enough and guessed all the same. Offline: nothing of a password goes anywhere."""

from typing import Any

from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

CONTEXT_WORDS = frozenset(
    {
        *("clinic", "clinicvideo", "clinicvideos", "clinician", "video", "videos", "portal", "videoportal"),
        *("hospital", "doctor", "nurse", "patient", "patients", "ward", "admin", "administrator"),
        *("password", "passwort", "cyfrinair", "welcome", "croeso", "letmein", "changeme"),
        *("spring", "summer", "autumn", "winter", "january", "february", "march", "april", "june", "july"),
        *("august", "september", "october", "november", "december"),
    }
)
"""Words that somebody who guesses a password of this portal tries first."""


SHORTEST = 5
"""Letters that must be left; what is repeated has to be as long too."""


class GuessablePasswordValidator:
    """Refuse one common word, or one of this place, with only digits and signs around it, or repeated.

    Lists of leaked passwords mostly hold such ones where twelve letters were demanded.
    """

    def __init__(self) -> None:
        self._known = CommonPasswordValidator().passwords | CONTEXT_WORDS

    def validate(self, password: str, user: Any = None) -> None:
        if any(self._is_known(form) for form in _forms(password.casefold())):
            raise ValidationError(
                "This is a common word with something around it, or the same again and again: such "
                "passwords are guessed first.",
                code="password_guessable",
            )

    def _is_known(self, text: str) -> bool:
        return len(text) < SHORTEST or text in self._known

    def get_help_text(self) -> str:
        return (
            "A common word with digits around it is not enough; three words that do not belong together are."
        )


def _forms(password: str) -> set[str]:
    """What is left without digits and signs around it, and what is repeated in it."""
    parts = {password, _core(password)}
    parts |= {_unit(part) for part in parts}
    return parts | {_core(part) for part in parts}


def _core(text: str) -> str:
    """From the first letter to the last."""
    letters = [place for place, sign in enumerate(text) if sign.isalpha()]
    return text[letters[0] : letters[-1] + 1] if letters else ""


def _unit(text: str) -> str:
    """The shortest piece that the whole is made of: `abc` of `abcabcabc`."""
    return text[: (text + text).find(text, 1)] if text else ""
