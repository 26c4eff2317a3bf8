"""What the rest of the product may listen to. `transcoding` itself never looks at who does."""

from django.dispatch import Signal

object_arrived = Signal()
"""Sent with `source_key` and `size` when an event tells of an object that no job is for."""

job_finished = Signal()
"""Sent with `job`, in the transaction in which it became final."""

job_retried = Signal()
"""Sent with `job` and `request`, in the transaction in which a person queued it again."""
