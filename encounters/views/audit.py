"""Who has seen an encounter: for the team whose it is."""

from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from encounters import audit
from encounters.callers import staff
from encounters.models import Verb
from encounters.views.staff import StaffRequest, find_encounter

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
