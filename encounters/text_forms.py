"""Texts that a clinic may write itself, checked."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings

from encounters.messages import CHANNELS, problem
from encounters.models import Channel, Purpose
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


class MessageForm(forms.Form):
    """One message in one language. Left empty, it says what the portal's own text says."""

    channel = forms.ChoiceField(choices=[(channel.value, channel.label) for channel in CHANNELS])
    language = forms.ChoiceField(choices=settings.LANGUAGES)
    subject = forms.CharField(max_length=150, required=False)
    body = forms.CharField(max_length=2000, required=False, label="Text", widget=forms.Textarea)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        is_sms = self["channel"].value() == Channel.SMS
        body = self.fields["body"]
        body.widget.attrs |= {"rows": 5 if is_sms else 12, "lang": self["language"].value() or ""}
        for name in ("channel", "language", *(["subject"] if is_sms else [])):
            self.fields[name].widget = forms.HiddenInput()

    def clean_subject(self) -> str:
        subject: str = self.cleaned_data["subject"]
        if len(subject.splitlines()) > 1:
            raise forms.ValidationError("A subject has one line.")
        return subject

    def clean_body(self) -> str:
        body = _lines(self.cleaned_data["body"])
        if body and (words := problem(body)):
            raise forms.ValidationError(words)
        return body

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("channel") == Channel.EMAIL and cleaned.get("body") and not cleaned.get("subject"):
            self.add_error("subject", "An e-mail needs a subject.")
        return cleaned
