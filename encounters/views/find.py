"""Finding a patient on the worklist. What is sought never stands in an address, where logs and histories
would keep it: it goes there encrypted, for this person alone."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from encounters.encryption import CannotDecrypt, encrypt, unseal

LONGEST = 100


@require_POST
def find(request: HttpRequest) -> HttpResponse:
    """Lead to the worklist that shows what was found, and that can be reloaded, polled and paged."""
    text = request.POST.get("q", "").strip()[:LONGEST]
    kept = {name: request.POST.get(name, "") for name in ("state", "research")}
    query = kept | {"find": encrypt(text, place=_place(request))}
    given = urlencode({name: value for name, value in query.items() if value})
    return redirect(f"/?{given}" if given else "/")


def sought(request: HttpRequest) -> str:
    """What this person is looking for; nothing if somebody else was, or under keys that are gone."""
    try:
        return unseal(request.GET.get("find", ""), place=_place(request))
    except CannotDecrypt:
        return ""


def _place(request: HttpRequest) -> str:
    return f"search of {request.user.pk}"
