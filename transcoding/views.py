"""The admin's monitor, and the door for the function's reports.

No patient is named here: object keys and codes are all that there is.
"""

import json
import logging
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from transcoding import jobs, remote
from transcoding.aws import reports
from transcoding.http import HtmxRequest
from transcoding.models import Runner, Status, TranscodeJob
from transcoding.signals import job_retried

logger = logging.getLogger(__name__)

PAGE_SIZE = 50


def admins_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Everybody else is told that there is no such page."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user: Any = request.user
        if not user.is_admin:
            raise Http404
        return view(request, *args, **kwargs)

    return wrapped


@require_GET
@admins_only
def conversions(request: HtmxRequest) -> HttpResponse:
    rows = TranscodeJob.objects.prefetch_related("attempts", "renditions")
    status = request.GET.get("status", "")
    if status in Status.values:
        rows = rows.filter(status=status)
    counts = dict.fromkeys(Status.values, 0)
    counts |= dict(TranscodeJob.objects.order_by().values_list("status").annotate(Count("pk")))
    context = {
        "page": Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page")),
        "status": status,
        "counts": [(value, label, counts[value]) for value, label in Status.choices],
    }
    template = "transcoding/conversions.html"
    return render(request, f"{template}#live" if request.htmx else template, context)


@require_GET
@admins_only
def conversion(request: HtmxRequest, pk: UUID) -> HttpResponse:
    job = get_object_or_404(TranscodeJob.objects.prefetch_related("attempts", "renditions"), pk=pk)
    template = "transcoding/conversion_detail.html"
    return render(
        request, f"{template}#live" if request.htmx else template, {"job": job, "runners": jobs.runners()}
    )


@require_POST
@admins_only
def conversion_retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = get_object_or_404(TranscodeJob, pk=pk)
    with transaction.atomic():
        jobs.retry(job, _runner(request))
        job_retried.send(sender=TranscodeJob, job=job, request=request)
    return redirect("conversion", pk)


@require_POST
@admins_only
def conversion_hand_over(request: HttpRequest, pk: UUID) -> HttpResponse:
    runner = _runner(request)
    if runner is None:
        raise Http404
    job = get_object_or_404(TranscodeJob, pk=pk)
    with transaction.atomic():
        jobs.hand_over(job, runner)
        job_retried.send(sender=TranscodeJob, job=job, request=request)
    return redirect("conversion", pk)


def _runner(request: HttpRequest) -> Runner | None:
    """The one that was asked for; None: whichever it was."""
    name = request.POST.get("runner", "")
    return Runner(name) if name in Runner.values else None


@csrf_exempt
@login_not_required
@require_POST
def callback(request: HttpRequest) -> JsonResponse:
    """Take a signed report, once. Who has no valid signature learns nothing, not even why."""
    try:
        nonce = reports.verify(request.headers, request.body, settings.CALLBACK_KEYS)
    except reports.SignatureRefused as refusal:
        return _refused(refusal.reason)
    if not remote.is_new(nonce):
        return _refused("replay")
    try:
        report = reports.Report.from_json(request.body)
        answer = remote.take(report)
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        logger.warning("report not understood", extra={"error": type(error).__name__})
        return JsonResponse({"code": "not_understood"}, status=400)
    logger.info("report", extra={"news": report.news, "job": report.job, "accepted": answer.accepted})
    return JsonResponse(json.loads(answer.to_json()))


def _refused(reason: str) -> JsonResponse:
    logger.warning("report refused", extra={"reason": reason})
    return JsonResponse({"code": "refused"}, status=403)
