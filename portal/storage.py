"""Django's storages: the private bucket, the same bucket as browsers reach it, and static files."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from storages.backends.s3 import S3Storage
from whitenoise.storage import CompressedManifestStaticFilesStorage


class PrivateStorage(S3Storage):  # type: ignore[misc]
    """The bucket as the portal reaches it. Never overwrites, never hands out an unsigned address."""

    endpoint: str | None = settings.S3_ENDPOINT

    def get_default_settings(self) -> dict[str, Any]:
        return {
            **super().get_default_settings(),
            "access_key": settings.S3_ACCESS_KEY,
            "secret_key": settings.S3_SECRET_KEY,
            "bucket_name": settings.S3_BUCKET,
            "region_name": settings.S3_REGION,
            "endpoint_url": self.endpoint,
            "addressing_style": settings.S3_ADDRESSING,
            "signature_version": "s3v4",
            "default_acl": settings.S3_ACL or None,
            "object_parameters": {
                "ServerSideEncryption": settings.S3_ENCRYPTION,
                **({"SSEKMSKeyId": settings.S3_KMS_KEY} if settings.S3_KMS_KEY else {}),
            },
            "querystring_auth": True,
            "querystring_expire": settings.PLAYBACK_URL_SECONDS,
            "custom_domain": None,
            "file_overwrite": False,
        }


class PlaybackStorage(PrivateStorage):
    """The bucket as browsers reach it: what it is for is `url()`, signed and short-lived."""

    endpoint = settings.S3_PUBLIC_ENDPOINT


class HashedStaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Static files named after their content, ES modules' imports included."""

    support_js_module_import_aggregation = True

    def post_process(self, paths: dict[str, Any], *args: Any, **options: Any) -> Iterator[Any]:
        # The extensions of htmx, which we do not use, name files in comments that look like imports.
        ours = {path: found for path, found in paths.items() if "/ext/" not in path}
        yield from super().post_process(ours, *args, **options)
