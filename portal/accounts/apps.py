from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "portal.accounts"

    def ready(self) -> None:
        from portal.accounts import factors, invitations, records  # noqa: F401, PLC0415 - they need the apps
