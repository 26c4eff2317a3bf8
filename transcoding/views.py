"""The admin's monitor. No patient is named here: object keys and codes are all that there is."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from transcoding import jobs
from transcoding.http import HtmxRequest
from transcoding.models import Status, TranscodeJob
from transcoding.signals import job_retried

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
    return render(request, f"{template}#live" if request.htmx else template, {"job": job})


@require_POST
@admins_only
def conversion_retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    job = get_object_or_404(TranscodeJob, pk=pk)
    with transaction.atomic():
        jobs.retry(job)
        job_retried.send(sender=TranscodeJob, job=job, request=request)
    return redirect("conversion", pk)
