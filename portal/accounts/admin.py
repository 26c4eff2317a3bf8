"""Django's admin, for the two things that only an admin may make: users and teams."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Model
from django.http import Http404, HttpRequest
from django_q.models import Failure, OrmQ, Schedule, Success

from encounters.callers import staff
from encounters.models import Verb
from portal.accounts import factors, invitations, sessions
from portal.accounts.models import Role, Team, User

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "Users and teams"
# Each of these would be a way around what the portal's own pages watch over; the queue's pages would even
# let whoever signs in as an admin schedule any function of the project.
ways_around: list[type[Model]] = [Group, EmailAddress, Authenticator, UserSession]
ways_around += [Failure, OrmQ, Schedule, Success]
if apps.is_installed("allauth.socialaccount"):
    ways_around += apps.get_app_config("socialaccount").get_models()
for model in ways_around:
    try:
        admin.site.unregister(model)
    except NotRegistered:
        continue


class Recorded(admin.ModelAdmin):  # type: ignore[type-arg]
    """Writes each change among the access records, in its transaction: whom, and which fields."""

    verb_added: Verb
    verb_changed: Verb

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, self.verb_added, obj, "added")
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        fields = [name for change in message if isinstance(change, dict) for name in _fields(change)]
        self._record(request, self.verb_changed, obj, ", ".join(fields) or "saved")
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self._record(request, self.verb_changed, obj, "removed")
        return super().log_deletions(request, queryset)

    def _record(self, request: HttpRequest, verb: Verb, obj: Any, what: str) -> None:
        staff(request).record(verb, reason=f"{type(obj).__name__.lower()} {obj.pk}: {what}"[:500])


def _fields(change: dict[str, Any]) -> list[str]:
    return [str(name) for entry in change.values() for name in entry.get("fields", [])]


@admin.register(Team)
class TeamAdmin(Recorded):
    list_display = ["name", "code", "retention_days"]
    verb_added = verb_changed = Verb.TEAM_CHANGED


class InvitationForm(forms.ModelForm):  # type: ignore[type-arg]
    """Whom to invite. Nobody but themselves ever knows their password."""

    class Meta:
        model = User
        fields = ["email", "name", "role", "teams"]

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        return email


@admin.register(User)
class UserAdmin(Recorded, BaseUserAdmin):  # type: ignore[type-arg]
    ordering = ["email"]
    list_display = ["email", "name", "role", "second_step", "is_active", "last_login"]
    list_filter = ["role", "is_active", "teams"]
    search_fields = ["email", "name"]
    filter_horizontal = ["teams"]
    readonly_fields = ["last_login", "second_step"]
    actions = ["invite_again", "remove_second_factors"]
    fieldsets = [
        (None, {"fields": ["email", "name"]}),
        ("Work", {"fields": ["role", "teams"]}),
        ("Access", {"fields": ["is_active", "second_step", "last_login"]}),
    ]
    add_form = InvitationForm
    add_fieldsets = [(None, {"fields": ["email", "name", "role", "teams"]})]
    verb_added, verb_changed = Verb.STAFF_INVITED, Verb.STAFF_CHANGED

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What somebody did must stay theirs: who leaves may no longer sign in, that is all."""
        return False

    def user_change_password(self, *args: Any, **kwargs: Any) -> Any:
        """An admin who could set a password could be that person."""
        raise Http404

    @admin.display(boolean=True, description="second step")
    def second_step(self, user: User) -> bool:
        return factors.is_set_up(user)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001
        obj.is_staff = obj.is_superuser = obj.role == Role.ADMIN
        if not change:
            obj.set_unusable_password()
        super().save_model(request, obj, form, change)
        if not change:
            invitations.invite(obj)
        elif "email" in form.changed_data:
            invitations.forget_addresses(obj)
        if change and {"role", "is_active", "email"} & set(form.changed_data):
            sessions.end_all(obj.pk)

    @admin.action(description="Send the invitation again")
    def invite_again(self, request: HttpRequest, queryset: Any) -> None:
        for user in queryset.filter(is_active=True):
            with transaction.atomic():
                invitations.invite(user)
                self._record(request, Verb.STAFF_INVITED, user, "again")
        messages.success(request, "Sent to those who may sign in.")

    @admin.action(description="Remove the second step: lost phone and recovery codes")
    def remove_second_factors(self, request: HttpRequest, queryset: Any) -> None:
        for user in queryset:
            with transaction.atomic():
                Authenticator.objects.filter(user=user).delete()
                sessions.end_all(user.pk)
                self._record(request, Verb.SECOND_FACTOR_REMOVED, user, "by an admin")
        messages.success(
            request, "Removed, and signed out everywhere. They set it up anew at the next sign-in."
        )
