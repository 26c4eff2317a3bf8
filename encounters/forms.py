"""What people may type, checked."""

from datetime import date
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from encounters import sms
from encounters.consents import Proxy
from encounters.models import Patient, Purpose, Relation

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
                _("Please write a day, a month and a year, for example 27 3 1965.")
            ) from error
        return cleaned


class ConsentForm(forms.Form):
    """The three questions, and who answers them if it is not the patient."""

    wording = forms.CharField(required=False, widget=forms.HiddenInput())
    """The name of the wording on the page."""
    diagnosis = forms.BooleanField(
        error_messages={"required": _("We need your yes to this one before you can send a video.")}
    )
    record = forms.BooleanField(required=False)
    research = forms.BooleanField(required=False)
    relation = forms.ChoiceField(
        choices=[("", _("Please choose")), *Relation.choices],
        required=False,
        label=_("You are the patient's"),
    )
    proxy_name = forms.CharField(
        max_length=200,
        required=False,
        label=_("Your name"),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("proxy_name") and not cleaned.get("relation"):
            self.add_error("relation", _("Please choose who you are to the patient."))
        if cleaned.get("relation") and not cleaned.get("proxy_name"):
            self.add_error("proxy_name", _("Please write your name."))
        return cleaned

    @property
    def purposes(self) -> list[Purpose]:
        return [purpose for purpose in Purpose if self.cleaned_data.get(purpose)]

    @property
    def proxy(self) -> Proxy | None:
        relation = self.cleaned_data["relation"]
        if not relation:
            return None
        return Proxy(name=self.cleaned_data["proxy_name"], relation=Relation(relation))


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
        help_texts = {
            "email": "For sending the link. Without either, show the patient a QR code.",
            "mobile": "For sending the link as a text message.",
        }

    def __init__(self, *args: Any, teams: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["autocomplete"] = "off"
        team: Any = self.fields["team"]
        team.queryset = teams
        if len(teams) == 1:
            team.initial = teams[0]
            team.widget = forms.HiddenInput()

    def clean_mobile(self) -> str:
        given: str = self.cleaned_data["mobile"]
        number = sms.in_e164(given) if given else ""
        if number is None:
            raise forms.ValidationError(
                "This is not the number of a mobile phone. Write it like 07700 900123, or +353 85 012 3456."
            )
        return number

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
