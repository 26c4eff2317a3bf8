"""Django's admin, for the two things that only an admin may make: users and teams."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group

from portal.accounts.models import Team, User

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "Users and teams"
admin.site.unregister(Group)


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "code"]


@admin.register(User)
class UserAdmin(BaseUserAdmin):  # type: ignore[type-arg]
    ordering = ["email"]
    list_display = ["email", "name", "role", "is_active", "last_login"]
    list_filter = ["role", "is_active", "teams"]
    search_fields = ["email", "name"]
    filter_horizontal = ["teams"]
    readonly_fields = ["last_login"]
    fieldsets = [
        (None, {"fields": ["email", "password", "name"]}),
        ("Work", {"fields": ["role", "teams"]}),
        ("Access", {"fields": ["is_active", "is_staff", "is_superuser", "last_login"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["email", "name", "role", "teams", "usable_password", "password1", "password2"]})
    ]
