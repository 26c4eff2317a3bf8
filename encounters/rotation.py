"""Moving what is encrypted or indexed under an older key to the present one, while the portal runs."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import transaction
from django.db.models import Count, Q, Value
from django.db.models.functions import StrIndex, Substr
from django.db.utils import IntegrityError

from encounters import encryption, search
from encounters.encryption import CannotDecrypt, Encrypted
from encounters.models import Patient

BATCH = 200


def encrypted_fields() -> Iterator[tuple[Any, list[Any]]]:
    """Each model with its encrypted fields, of every application."""
    for model in apps.get_models():
        fields = [field for field in model._meta.concrete_fields if isinstance(field, Encrypted)]  # noqa: SLF001
        if fields:
            yield model, fields


def keys_of(model: Any, field: Any) -> dict[str | None, int]:
    """How many values of this column are under which key; under None what is not encrypted at all."""
    name = Substr(Substr(field.raw, len(encryption.MARK) + 1), 1, StrIndex(_rest(field), Value(":")) - 1)
    stored = model.objects.order_by().exclude(**{f"{field.name}__isnull": True}).annotate(raw=field.raw)
    marked = stored.filter(raw__startswith=encryption.MARK).annotate(under=name)
    counts: dict[str | None, int] = dict(marked.values_list("under").annotate(Count("pk")))
    if bare := stored.exclude(raw="").exclude(raw__startswith=encryption.MARK).count():
        counts[None] = bare
    return counts


def _rest(field: Any) -> Substr:
    return Substr(field.raw, len(encryption.MARK) + 1)


def one_under(model: Any, field: Any, key: str) -> str:
    """Some value that is under this key, as the database holds it."""
    start = f"{encryption.MARK}{key}:"
    found: str = (
        model.objects.annotate(raw=field.raw).filter(raw__startswith=start).values_list("raw", flat=True)[0]
    )
    return found


def index_keys() -> Counter[str]:
    """How many patients are indexed under which key."""
    counts = Patient.objects.order_by().values_list("index_key").annotate(Count("pk"))
    return Counter(dict(counts))


def rotate(model: Any, fields: list[Any], *, batch: int = BATCH) -> tuple[int, list[Any]]:
    """Encrypt anew what is under an older key; how many values that were, and the rows that nobody can read.

    Each value is replaced only if it still is what was read: whoever writes meanwhile wins, under the
    present key. Begun again, it goes on with what is left.
    """
    moved, unreadable, last = 0, [], None
    while rows := _behind(model, fields, last)[:batch]:
        with transaction.atomic():
            for pk, *values in rows:
                last = pk
                try:
                    moved += sum(
                        _move(model, pk, field, raw) for field, raw in zip(fields, values, strict=True)
                    )
                except CannotDecrypt:
                    unreadable.append(pk)
    return moved, unreadable


def _behind(model: Any, fields: list[Any], last: Any) -> Any:
    """Rows after `last` of which a value is under another key than the present one."""
    raw = {f"raw_{field.name}": field.raw for field in fields}
    present = f"{encryption.MARK}{encryption.present_key()}:"
    behind = Q()
    for name in raw:
        behind |= ~Q(**{name: ""}) & ~Q(**{f"{name}__startswith": present}) & Q(**{f"{name}__isnull": False})
    rows = model.objects.annotate(**raw).filter(behind).order_by("pk")
    return (rows if last is None else rows.filter(pk__gt=last)).values_list("pk", *raw)


def _move(model: Any, pk: Any, field: Any, raw: str | None) -> int:
    if not raw or encryption.key_of(raw) == encryption.present_key():
        return 0
    plain = field.to_python(encryption.decrypt(raw, place=field.place))
    unchanged = model.objects.annotate(stored=field.raw).filter(pk=pk, stored=raw)
    moved: int = unchanged.update(**{field.name: plain})
    return moved


def index_anew(*, batch: int = BATCH) -> tuple[int, list[int]]:
    """Index those patients anew who are indexed under an older key; how many, and who could not be."""
    moved, left, last = 0, [], 0
    behind = Patient.objects.exclude(index_key=search.present_key()).order_by("pk")
    while patients := list(behind.filter(pk__gt=last).values_list("pk", flat=True)[:batch]):
        for last in patients:
            try:
                moved += _index(last)
            except (CannotDecrypt, IntegrityError):
                left.append(last)
    return moved, left


@transaction.atomic
def _index(pk: int) -> int:
    """Under a lock on the row: a name that changes meanwhile must not be left with the old one's terms."""
    patient = (
        Patient.objects.select_for_update().exclude(index_key=search.present_key()).filter(pk=pk).first()
    )
    if patient is None:
        return 0
    patient.save(update_fields=["record_number_index", "index_key"])
    return 1
