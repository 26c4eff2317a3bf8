"""What pages outside of `encounters` show of erasures."""

from django import template

from encounters.disposal import Erasure

register = template.Library()


@register.simple_tag
def erasures_in_trouble() -> int:
    """How many could not be ended at their last try."""
    return Erasure.objects.in_trouble().count()
