"""What holds for every answer."""

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.utils.decorators import sync_only_middleware
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget
from whitenoise.middleware import WhiteNoiseMiddleware

from transcoding.errors import PortalError

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]
    """WhiteNoise, answering in one piece: under ASGI, Django warns of each file that is read in chunks."""

    @staticmethod
    def serve(static_file: Any, request: HttpRequest) -> HttpResponse:
        found = WhiteNoiseMiddleware.serve(static_file, request)
        content = b"".join(found.streaming_content)
        return HttpResponse(content, status=found.status_code, headers=found.headers)


@sync_only_middleware
def private_by_default(get_response: GetResponse) -> GetResponse:
    """Nothing that a view makes may stay in a cache, unless the view itself says so, or be used elsewhere."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if not response.has_header("Cache-Control"):
            patch_cache_control(response, private=True, no_store=True)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

    return middleware


class translate_errors:  # noqa: N801 - Django names middleware like functions
    """Tell a person what a `PortalError` means: JSON where the page asked for it, else a page."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, PortalError):
            return None
        logger.info("refused", extra={"code": error.code, "status": error.status})
        if request.path.startswith("/uploads/"):
            body = {"code": error.code, "message": error.message, **error.values}
            return JsonResponse(body, status=error.status)
        if getattr(request, "htmx", False):
            notice = render(request, "partials/notice.html", {"error": error}, status=error.status)
            return reswap(retarget(notice, "#flash"), "innerHTML")
        return render(request, "error.html", {"error": error}, status=error.status)


class StaffOnly(LoginRequiredMiddleware):
    """Every page is for staff who signed in, unless its view says otherwise."""

    def handle_no_permission(self, request: HttpRequest, view_func: Callable[..., Any]) -> Any:
        """A polled card whose session has ended sends the whole page to sign in, not the card alone."""
        htmx = getattr(request, "htmx", None)
        if not htmx:
            return super().handle_no_permission(request, view_func)
        page = htmx.current_url_abs_path or "/"
        return HttpResponseClientRedirect(redirect_to_login(page, settings.LOGIN_URL).url)
