"""Whether anything may still be added to an encounter: asked under its lock, by whatever adds something."""

from django.utils.translation import gettext_lazy as _

from encounters.callers import LinkClosed
from encounters.disposal import Erasure
from encounters.models import Encounter
from transcoding.errors import PortalError


class ConsentWithdrawn(PortalError):
    code = "consent_withdrawn"
    message = _("Consent to this was withdrawn. Nothing more can be sent.")
    status = 410


class TooLate(PortalError):
    code = "too_late"
    message = "This is being erased already. It cannot be brought back."
    status = 409


def is_being_erased(encounter: Encounter) -> bool:
    """Whether all of it is, past the point of no return."""
    return Erasure.objects.filter(encounter=encounter, video=None, begun_at__isnull=False).exists()


def still_open(encounter: Encounter) -> None:
    """Raises `ConsentWithdrawn`, `LinkClosed`. Else it stays open until the caller's transaction ends."""
    now = Encounter.objects.select_for_update(no_key=True).get(pk=encounter.pk)
    if now.withdrawn_at:
        raise ConsentWithdrawn
    if now.erased_at or is_being_erased(encounter):
        raise LinkClosed
