"""What patients are asked to agree to, and what they agreed to. A part of the models, in its own file."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Cast
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from encounters.encryption import EncryptedCharField


class Purpose(models.TextChoices):
    """What videos may be used for. Only the first is needed."""

    DIAGNOSIS = "diagnosis", "Diagnosis"
    RECORD = "record", "Patient record"
    RESEARCH = "research", "Research and teaching"


class Relation(models.TextChoices):
    """Who agrees in the patient's name."""

    PARENT = "parent", _("Parent")
    GUARDIAN = "guardian", _("Legal guardian")
    ATTORNEY = "attorney", _("Attorney or deputy for health and welfare")
    CARER = "carer", _("Carer")
    RELATIVE = "relative", _("Partner or relative")


class WordingsAreFinal(Exception):
    """A wording that was shown is never changed: a change is a new version."""


class ConsentWording(models.Model):
    """A team's own wording of the three questions, in one language. Written once."""

    team = models.ForeignKey("accounts.Team", on_delete=models.PROTECT, related_name="consent_wordings")
    version = models.CharField(max_length=20)
    language = models.CharField(max_length=10)
    diagnosis = models.TextField(max_length=2000)
    record = models.TextField(max_length=2000)
    research = models.TextField(max_length=2000)
    created_at = models.DateTimeField(default=timezone.now)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "version", "language"], name="wording_unique_in_team_and_language"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.language}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise WordingsAreFinal
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise WordingsAreFinal


class ConsentQuerySet(models.QuerySet["Consent"]):
    def standing(self) -> "ConsentQuerySet":
        """Given, and not withdrawn since."""
        return self.filter(withdrawn_at__isnull=True)


class Consent(models.Model):
    """One purpose that was agreed to: the exact text, when, in which language, and by whom."""

    encounter = models.ForeignKey("encounters.Encounter", on_delete=models.PROTECT, related_name="consents")
    purpose = models.CharField(max_length=10, choices=Purpose)
    given_at = models.DateTimeField(default=timezone.now)
    version = models.CharField(max_length=20)
    """Of the wording."""
    language = models.CharField(max_length=10)
    text = models.TextField(max_length=2000)
    """As it was shown."""
    relation = models.CharField(max_length=10, choices=Relation, blank=True)
    """Of whoever agreed in the patient's name; empty: the patient."""
    proxy_name = EncryptedCharField(max_length=200, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = ConsentQuerySet.as_manager()

    class Meta:
        ordering = ["given_at", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["encounter", "purpose"],
                condition=Q(withdrawn_at__isnull=True),
                name="consent_stands_once_for_each_purpose",
            ),
            models.CheckConstraint(condition=Q(purpose__in=Purpose.values), name="consent_purpose_known"),
            models.CheckConstraint(
                condition=~Q(relation="") | Q(Exact(Cast("proxy_name", models.TextField()), "")),
                name="consent_names_only_a_proxy",
            ),
            models.CheckConstraint(
                condition=~Q(version="") & ~Q(language="") & ~Q(text=""), name="consent_has_a_wording"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose}, {self.version}"

    @property
    def statement(self) -> str:
        """The first line of the text: what is agreed to."""
        return self.text.partition("\n")[0]

    @property
    def rest(self) -> str:
        """The lines that explain the statement."""
        return self.text.partition("\n")[2]

    @property
    def language_name(self) -> str:
        return dict(settings.LANGUAGES).get(self.language, self.language)

    @property
    def given_by(self) -> str:
        """In words, for staff."""
        if not self.relation:
            return "the patient"
        who = self.get_relation_display().lower()
        return f"{self.proxy_name} ({who})" if self.proxy_name else who
