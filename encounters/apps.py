from django.apps import AppConfig
from django.db.models.signals import post_migrate


class EncountersConfig(AppConfig):
    name = "encounters"

    def ready(self) -> None:
        from encounters import append_only, arrivals, callers, checks, notices  # noqa: PLC0415 - they need the apps
        from transcoding import schedules  # noqa: PLC0415 - the same
        from transcoding.signals import job_finished, job_retried, object_arrived  # noqa: PLC0415 - the same

        checks.register_all()
        tasks = (
            (5, "encounters.recovery.recover"),
            (5, "encounters.playback.write_down_what_is_over"),
            (60, "encounters.recovery.tidy"),
            (60, "encounters.audit.log_head"),
            (1, "encounters.erasure.run"),
            (60, "encounters.erasure.expire"),
            (60, "encounters.erasure.look_again"),
        )
        for minutes, func in tasks:
            keep = schedules.every(minutes, func)
            post_migrate.connect(keep, sender=self, weak=False, dispatch_uid=func)
        post_migrate.connect(append_only.after_migrate, sender=self, dispatch_uid="append only")
        job_finished.connect(notices.on_job_finished, dispatch_uid="notices")
        job_retried.connect(callers.on_job_retried, dispatch_uid="access record")
        object_arrived.connect(arrivals.on_object_arrived, dispatch_uid="arrivals")
