"""Patients: the only rows that name anybody, encrypted, and the blind index by which they are found."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from django.db import models, router, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from encounters import search
from encounters.encryption import EncryptedCharField, EncryptedDateField, EncryptedEmailField


class PatientQuerySet(models.QuerySet["Patient"]):
    def numbered(self, team: Any, record_number: str) -> "PatientQuerySet":
        """The patient with exactly this record number in this team, or none."""
        return self.filter(team=team, record_number_index__in=search.number_indexes(team.pk, record_number))

    def found_by(self, text: str, teams: Iterable[int]) -> "PatientQuerySet":
        """Those in whose names each word of the text begins a word, or whose record number it is."""
        teams, words = list(teams), search.words(text)[: search.MOST_WORDS]
        if not words:
            return self.none()
        named = self.all()
        for word in words:
            named = named.filter(_has_any(search.terms_for_word(word, teams)))
        return named | self.filter(_has_any(search.terms_for_number(text, teams)))


def _has_any(terms: list[int]) -> Exists:
    return Exists(SearchTerm.objects.filter(patient=OuterRef("pk"), term__in=terms))


class Patient(models.Model):
    """A person in the care of one team. The same person in another team is another row."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="patients")
    record_number = EncryptedCharField(max_length=40)
    record_number_index = models.CharField(max_length=64, editable=False)
    """Stands for the record number where it must be unique."""
    given_name = EncryptedCharField(max_length=100)
    family_name = EncryptedCharField(max_length=100)
    birth_date = EncryptedDateField("date of birth")
    mobile = EncryptedCharField("mobile number", max_length=30, blank=True)
    email = EncryptedEmailField("e-mail address", blank=True)
    index_key = models.CharField(max_length=40, editable=False)
    """Name of the key that `record_number_index` and the search terms were made with."""

    objects = PatientQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "record_number_index"], name="patient_record_number_unique_in_team"
            ),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        using = kwargs.setdefault("using", router.db_for_write(type(self), instance=self))
        self.record_number_index = search.number_index(self.team_id, self.record_number)
        self.index_key = search.present_key()
        with transaction.atomic(using=using):
            super().save(*args, **kwargs)
            self._keep_terms(using)

    def _keep_terms(self, using: str) -> None:
        """Make the search terms what the names say. Whoever empties the names must delete them, too."""
        wanted, kept = search.terms(self), SearchTerm.objects.using(using).filter(patient=self)
        there = set(kept.values_list("term", flat=True))
        if gone := there - wanted:
            kept.filter(term__in=gone).delete()
        new = [SearchTerm(patient=self, term=term) for term in sorted(wanted - there)]
        SearchTerm.objects.using(using).bulk_create(new)

    @property
    def name(self) -> str:
        return f"{self.given_name} {self.family_name}"

    @property
    def age(self) -> int:
        """Full years."""
        born: date = self.birth_date
        today = timezone.localdate()
        return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


class SearchTerm(models.Model):
    """One way to find a patient, in which nobody can read which."""

    patient = models.ForeignKey(Patient, on_delete=models.CASCADE, related_name="search_terms")
    term = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["term", "patient"], name="search_term_once_a_patient"),
        ]
