"""The base of every error that a person may see, here and in `encounters`."""

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class PortalError(Exception):
    """Something that a person can be told about. Translated once, by the portal's middleware.

    `code` is for machines and admins, `heading` and `message` are plain words, `status` an HTTP status.
    """

    code = "error"
    heading: "StrOrPromise" = _("That did not work")
    message: "StrOrPromise" = _("Something went wrong. Please try again.")
    status = 400

    def __init__(self, **values: object) -> None:
        self.values = values
        super().__init__(self.code)


class StoreUnavailable(PortalError):
    code = "store_unavailable"
    message = _("Our video store does not answer just now. Nothing is lost: please try again in a minute.")
    status = 503
