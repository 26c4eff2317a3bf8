"""The object store that the settings name."""

from functools import cache

from django.conf import settings

from transcoding.engine.store import S3Store, StoreConfig


@cache
def object_store() -> S3Store:
    return S3Store(
        StoreConfig(
            bucket=settings.S3_BUCKET,
            region=settings.S3_REGION,
            endpoint=settings.S3_ENDPOINT,
            public_endpoint=settings.S3_PUBLIC_ENDPOINT,
            access_key=settings.S3_ACCESS_KEY,
            secret_key=settings.S3_SECRET_KEY,
            addressing="path" if settings.S3_ADDRESSING == "path" else "virtual",
            acl=settings.S3_ACL,
            encryption=settings.S3_ENCRYPTION,
        )
    )
