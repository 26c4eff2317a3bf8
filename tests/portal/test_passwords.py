"""Which passwords are refused when somebody chooses one."""

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from portal.accounts.passwords import CONTEXT_WORDS


@pytest.mark.parametrize(
    "password",
    [
        "password1234",
        "Password2026!",
        "!!!Welcome2026",
        "clinicvideos1",
        "hospital-2026",
        "iloveyou12345",
        "passwordpassword",
        "qwertyqwerty1",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "123412341234",
        "1a1a1a1a1a1a1a",
        "2026-11-22-2026",
        "________________",
    ],
)
def test_what_is_guessed_first_is_refused(password):
    with pytest.raises(ValidationError):
        validate_password(password)


@pytest.mark.parametrize(
    "password",
    [
        "a password of my own",
        "correct horse battery staple",
        "tremble-kettle-91-osprey",
        "k7Rw9qLmZx2T",
        "přílišžluťoučký",
        "x" + "1a" * 40 + "y",
        "long enough " * 6,
    ],
)
def test_what_nobody_guesses_is_taken_whatever_it_is_made_of(password):
    validate_password(password)


def test_the_words_of_this_place_are_compared_without_case():
    assert all(word == word.casefold() for word in CONTEXT_WORDS)


def test_a_very_long_one_takes_no_time_to_judge():
    """Each step looks at it once; a pattern with two stars would not come back."""
    validate_password("x" + "1" * 100_000 + "y" + "a1" * 100_000)
