from django.apps import AppConfig
from django.db.models.signals import post_migrate


class EncountersConfig(AppConfig):
    name = "encounters"

    def ready(self) -> None:
        from encounters import arrivals, notices  # noqa: PLC0415 - they need the apps
        from transcoding import schedules  # noqa: PLC0415
        from transcoding.signals import job_finished, object_arrived  # noqa: PLC0415

        for minutes, func in ((5, "encounters.recovery.recover"), (60, "encounters.recovery.tidy")):
            keep = schedules.every(minutes, func)
            post_migrate.connect(keep, sender=self, weak=False, dispatch_uid=func)
        job_finished.connect(notices.on_job_finished, dispatch_uid="notices")
        object_arrived.connect(arrivals.on_object_arrived, dispatch_uid="arrivals")
