"""Who has seen an encounter, and what became of a video: for the team whose it is."""

from uuid import UUID

from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from encounters import audit, custody
from encounters.callers import staff
from encounters.models import Verb
from encounters.views.staff import StaffRequest, find_encounter, find_video

PAGE_SIZE = 100


@require_GET
def access_records(request: StaffRequest, reference: str) -> HttpResponse:
    encounter = find_encounter(request, reference)
    staff(request).record(Verb.RECORDS_VIEWED, encounter=encounter)
    records = encounter.access_records.select_related("user").order_by("-number")
    context = {
        "encounter": encounter,
        "seen_by": audit.seen_by(encounter),
        "page": Paginator(records, PAGE_SIZE).get_page(request.GET.get("page")),
    }
    return render(request, "encounters/access_records.html", context)


@require_GET
@transaction.atomic
def access_export(request: StaffRequest, reference: str) -> HttpResponse:
    encounter = find_encounter(request, reference)
    staff(request).record(Verb.RECORDS_EXPORTED, encounter=encounter)
    name = f'attachment; filename="access-{encounter.reference}.csv"'
    return HttpResponse(
        audit.as_csv(encounter),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": name},
    )


@require_GET
@transaction.atomic
def custody_page(request: StaffRequest, pk: UUID) -> HttpResponse:
    video = find_video(request, pk)
    staff(request).record(Verb.CUSTODY_EXPORTED, encounter=video.encounter, video=video, reason="page")
    context = {"video": video, "encounter": video.encounter, "custody": custody.record_of(video)}
    return render(request, "encounters/custody.html", context)


@require_GET
@transaction.atomic
def custody_export(request: StaffRequest, pk: UUID) -> HttpResponse:
    video = find_video(request, pk)
    staff(request).record(Verb.CUSTODY_EXPORTED, encounter=video.encounter, video=video, reason="JSON")
    name = f'attachment; filename="custody-{video.pk}.json"'
    return JsonResponse(
        custody.record_of(video), json_dumps_params={"indent": 2}, headers={"Content-Disposition": name}
    )
