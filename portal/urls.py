from django.contrib import admin
from django.urls import include, path

from portal import views

urlpatterns = [
    path("", include("encounters.urls")),
    path("", include("transcoding.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
]
