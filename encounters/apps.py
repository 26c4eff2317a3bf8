from django.apps import AppConfig
from django.db.models.signals import post_migrate


class EncountersConfig(AppConfig):
    name = "encounters"

    def ready(self) -> None:
        from encounters import append_only, callers, notices  # noqa: PLC0415 - they need the apps
        from transcoding import schedules  # noqa: PLC0415
        from transcoding.signals import job_finished, job_retried  # noqa: PLC0415

        keep = schedules.every(5, "encounters.uploads.recover")
        post_migrate.connect(keep, sender=self, weak=False, dispatch_uid="recover")
        keep_head = schedules.every(60, "encounters.audit.log_head")
        post_migrate.connect(keep_head, sender=self, weak=False, dispatch_uid="audit head")
        post_migrate.connect(append_only.after_migrate, sender=self, dispatch_uid="append only")
        job_finished.connect(notices.on_job_finished, dispatch_uid="notices")
        job_retried.connect(callers.on_job_retried, dispatch_uid="access record")
