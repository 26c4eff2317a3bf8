"""Texts that a clinic may write itself, checked."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings

from encounters.models import Purpose
from encounters.wordings import Wording


class WordingForm(forms.Form):
    """The three questions in every language: a version is whole or it is none."""

    def __init__(self, *args: Any, current: Mapping[str, Wording], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.current = current
        for language, name in settings.LANGUAGES:
            for purpose in Purpose:
                self.fields[f"{language}-{purpose}"] = forms.CharField(
                    max_length=2000,
                    label=f"{purpose.label}, {name}",
                    initial=current[language].texts[purpose],
                    widget=forms.Textarea(attrs={"rows": 4, "lang": language}),
                )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors and all(
            asked == self.current[language].texts for language, asked in self.texts.items()
        ):
            raise forms.ValidationError("This is the wording that is asked already.")
        return cleaned

    @property
    def texts(self) -> dict[str, dict[Purpose, str]]:
        return {
            language: {purpose: _lines(self.cleaned_data[f"{language}-{purpose}"]) for purpose in Purpose}
            for language, _ in settings.LANGUAGES
        }


def _lines(text: str) -> str:
    """Browsers send CR LF."""
    return "\n".join(text.splitlines())
