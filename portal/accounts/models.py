"""Staff: who they are, what they may do, which teams they work in."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone


def usual_retention() -> int | None:
    """Days for which a new team keeps videos. None: for good."""
    return settings.RETENTION_DAYS or None


class Team(models.Model):
    """A ward or a practice. Its clinicians share its encounters."""

    code = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    retention_days = models.PositiveIntegerField(
        "days to keep videos",
        null=True,
        blank=True,
        default=usual_retention,
        validators=[MinValueValidator(1)],
        help_text="After the last video of an encounter has come. Then all of it is erased. Empty: for good.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    CLINICIAN = "clinician"
    ADMIN = "admin"


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(
            email, password, **{"role": Role.ADMIN, "is_staff": True, "is_superuser": True, **fields}
        )


class User(AbstractBaseUser, PermissionsMixin):
    """A member of staff. Patients have no account."""

    email = models.EmailField("e-mail address", unique=True)
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=20, choices=Role, default=Role.CLINICIAN)
    teams = models.ManyToManyField(Team, blank=True, related_name="members")
    is_active = models.BooleanField("may sign in", default=True)
    is_staff = models.BooleanField("may manage users and teams", default=False)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="user_email_unique_whatever_case"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),
            models.CheckConstraint(
                condition=models.Q(role=Role.ADMIN) | models.Q(is_staff=False, is_superuser=False),
                name="user_manages_only_as_admin",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN
