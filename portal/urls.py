from django.apps import apps
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from portal import views
from portal.accounts import views as accounts

urlpatterns = [
    path("", include("encounters.urls")),
    path("", include("transcoding.urls")),
    path("accounts/", accounts.home, name="account_home"),
    path("accounts/email/", accounts.no_such_page, name="account_email"),
    path("accounts/signup/", accounts.no_such_page, name="account_signup"),
    path("accounts/sessions/", include("allauth.usersessions.urls")),
    path("accounts/sessions/end/", accounts.sign_out_everywhere, name="account_sign_out_everywhere"),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/", include("allauth.account.urls")),
    path(
        "admin/password_change/",
        RedirectView.as_view(pattern_name="account_change_password"),
        name="no_password_here",
    ),
    path("admin/", admin.site.urls),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]

if apps.is_installed("allauth.socialaccount"):
    urlpatterns += [
        path("accounts/", include("allauth.socialaccount.urls")),
        path("accounts/", include("allauth.socialaccount.providers.openid_connect.urls")),
    ]
