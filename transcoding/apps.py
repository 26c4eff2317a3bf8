from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TranscodingConfig(AppConfig):
    name = "transcoding"

    def ready(self) -> None:
        from transcoding import checks, cluster, schedules  # noqa: PLC0415 - they need the apps

        keep = schedules.every(1, "transcoding.sweep.sweep")
        post_migrate.connect(keep, sender=self, weak=False, dispatch_uid="sweep")
        cluster.die_with_the_cluster()
        cluster.make_way()
        checks.register_all()
