"""In which language a patient reads: as they chose, else as their clinic did, else as their browser asks.

Staff read English, whatever their browser asks: half a page in another language helps nobody.
"""

from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_only_middleware
from django.utils.translation import gettext_noop
from django.utils.translation.trans_real import DjangoTranslation
from django.views.i18n import JSONCatalog

CORRECTED = [gettext_noop("July")]
"""What Django's own catalogues have, and misspell: ours come first."""
OF_PATIENTS = ("/u/", "/send/", "/uploads/")
SESSION_KEY = "language"
"""What the clinic chose for the link that this browser opened last."""


def is_for_patients(request: HttpRequest) -> bool:
    return request.path.startswith(OF_PATIENTS)


def of_patient(request: HttpRequest) -> str:
    """A code of `settings.LANGUAGES`."""
    known = dict(settings.LANGUAGES)
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME), request.session.get(SESSION_KEY)
    return next((code for code in chosen if code in known), translation.get_language_from_request(request))


@sync_only_middleware
def speak_to_patients(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        request.for_patients = is_for_patients(request)  # type: ignore[attr-defined]
        language = of_patient(request) if is_for_patients(request) else settings.LANGUAGE_CODE
        with translation.override(language):
            response = get_response(request)
        response.headers.setdefault("Content-Language", language)
        if is_for_patients(request):
            patch_vary_headers(response, ["Accept-Language", "Cookie"])
        return response

    return middleware


@cache
def words(language: str) -> dict[str, str | list[str]]:
    """What the scripts of the patient's pages say, by the English sentence; of counted things, each form."""
    if language == settings.LANGUAGE_CODE:
        return {}
    view = JSONCatalog()
    view.translation = DjangoTranslation(
        language, domain="djangojs", localedirs=[str(path) for path in settings.LOCALE_PATHS]
    )
    found: dict[str, str | list[str]] = view.get_catalog()
    return found
