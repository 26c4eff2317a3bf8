"""What people may type, checked."""

from datetime import date
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils import timezone

from encounters.models import Patient

MOBILE = RegexValidator(r"^\+?[0-9 ()-]{6,29}$", "Write the number in digits, such as 07700 900123.")
OLDEST = 130


class BirthDateForm(forms.Form):
    """A date in three fields, which people type faster and with fewer errors than they pick it."""

    day = forms.IntegerField(min_value=1, max_value=31)
    month = forms.IntegerField(min_value=1, max_value=12)
    year = forms.IntegerField(min_value=1, max_value=9999)

    autocomplete = {"day": "bday-day", "month": "bday-month", "year": "bday-year"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget = forms.TextInput(
                attrs={
                    "inputmode": "numeric",
                    "autocomplete": self.autocomplete[name],
                    "maxlength": 4 if name == "year" else 2,
                }
            )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        try:
            cleaned["birth_date"] = date(cleaned["year"], cleaned["month"], cleaned["day"])
        except (KeyError, ValueError) as error:
            raise forms.ValidationError(
                "Please write a day, a month and a year, for example 27 3 1965."
            ) from error
        return cleaned


class ConsentForm(forms.Form):
    diagnosis = forms.BooleanField(
        error_messages={"required": "We need your yes to this one before you can send a video."}
    )
    record = forms.BooleanField(required=False)
    research = forms.BooleanField(required=False)


class DescriptionForm(forms.Form):
    description = forms.CharField(
        max_length=4000,
        required=False,
        label="What does the video show?",
        widget=forms.Textarea(attrs={"rows": 6, "autocapitalize": "sentences"}),
    )


class ReasonForm(forms.Form):
    reason = forms.CharField(
        min_length=10,
        max_length=500,
        label="Why do you need to see it?",
        help_text="The team reads this, and it is kept for ever: leave names out. A sentence, such as: the "
        "patient phoned, the video does not play.",
        widget=forms.Textarea(attrs={"rows": 3, "autocomplete": "off"}),
    )


class KeepForm(forms.Form):
    until = forms.DateField(
        required=False,
        label="Keep until the end of",
        help_text="Leave it empty to keep it as long as the team's others.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        error_messages={"invalid": "Please choose a day, or leave it empty."},
    )

    def clean_until(self) -> date | None:
        until: date | None = self.cleaned_data["until"]
        if until and until < timezone.localdate():
            raise forms.ValidationError("That day is over. To be rid of a video now, delete it.")
        return until


class HoldForm(forms.Form):
    reason = forms.CharField(
        min_length=5,
        max_length=500,
        label="Why may nothing be erased?",
        help_text="The team reads this. Such as: complaint of 3 May, solicitor's letter received.",
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off"}),
    )


class EncounterForm(forms.ModelForm):  # type: ignore[type-arg]
    """A patient, new or known by the record number, and what to film."""

    team: forms.ModelChoiceField = forms.ModelChoiceField(queryset=None)  # type: ignore[type-arg]
    what_to_film = forms.CharField(
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="The patient reads this. Say what to film, from where, and for how long.",
    )

    class Meta:
        model = Patient
        fields = ["record_number", "given_name", "family_name", "birth_date", "mobile", "email"]
        widgets = {
            "birth_date": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
            "mobile": forms.TextInput(attrs={"type": "tel"}),
        }
        help_texts = {"email": "For sending the link. Leave it empty to show a QR code instead."}

    def __init__(self, *args: Any, teams: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"
        self.fields["mobile"].validators.append(MOBILE)
        team: Any = self.fields["team"]
        team.queryset = teams
        if len(teams) == 1:
            team.initial = teams[0]
            team.widget = forms.HiddenInput()

    def clean_birth_date(self) -> date:
        birth_date: date = self.cleaned_data["birth_date"]
        if (
            not 0 <= timezone.localdate().year - birth_date.year <= OLDEST
            or birth_date > timezone.localdate()
        ):
            raise forms.ValidationError("This is not a date of birth that anybody alive can have.")
        return birth_date

    def clean(self) -> dict[str, Any]:
        """A known record number means that patient, but never with another date of birth."""
        cleaned: dict[str, Any] = super().clean() or {}
        team, number = cleaned.get("team"), cleaned.get("record_number")
        known = Patient.objects.numbered(team, number).first() if team and number else None
        if known is not None:
            self.instance = known
            for contact in ("mobile", "email"):  # left empty means not asked, not forget it
                cleaned[contact] = cleaned.get(contact) or getattr(known, contact)
            if cleaned.get("birth_date") and cleaned["birth_date"] != known.birth_date:
                self.add_error(
                    "record_number",
                    "This record number belongs to a patient with another date of birth. Check both.",
                )
        return cleaned

    def _post_clean(self) -> None:
        """Leave a known patient's row alone until everything is valid."""
        if not self.errors:
            super()._post_clean()  # type: ignore[misc]
