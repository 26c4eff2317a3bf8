"""The object store that the settings name, and what the portal alone asks of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from django.conf import settings

from transcoding.engine.store import PresignedPart, S3Store, StoreConfig, StoredPart

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

PART_TYPE = "application/octet-stream"
"""Content type that a part must be sent with. The object's own was set when its upload began."""


@dataclass(frozen=True, kw_only=True)
class StoredVersion:
    """One version of an object, or the marker that says that it was deleted."""

    key: str
    version_id: str
    """`null` where the bucket keeps no versions."""
    size: int
    is_latest: bool
    is_marker: bool


@dataclass(frozen=True, kw_only=True)
class OpenUpload:
    """A multipart upload that the store still keeps parts of."""

    key: str
    upload_id: str
    began_at: datetime


class PortalStore(S3Store):
    """The bucket as the web server uses it: browsers' uploads begin, are looked at and end here."""

    @cached_property
    def signer(self) -> "S3Client":
        """Signs parts for browsers, their content type included."""
        client = self._client(self.config.public_endpoint or self.config.endpoint)
        client.meta.events.register("before-sign.s3.UploadPart", _name_the_type)
        return client

    def permit_part(
        self, key: str, upload_id: str, number: int, *, sha256: str, size: int, expires_in: int
    ) -> PresignedPart:
        """Permission to send this part: so many bytes with this checksum (base64), and no others."""
        url = self.signer.generate_presigned_url(
            "upload_part",
            Params={
                "Bucket": self.bucket,
                "Key": key,
                "UploadId": upload_id,
                "PartNumber": number,
                "ChecksumSHA256": sha256,
                "ContentLength": size,
            },
            ExpiresIn=expires_in,
        )
        headers = {"x-amz-checksum-sha256": sha256, "Content-Type": PART_TYPE}
        return PresignedPart(number=number, url=url, headers=headers, expires_in=expires_in)

    def parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Every part that the store has, by number, each once. Raises `NoSuchUpload`.

        SeaweedFS lists a part twice that was sent twice. If both were named when the parts are joined, it
        would make the object, and delete its bytes a moment later.
        """
        once = {part.number: part for part in super().parts(key, upload_id)}
        return [once[number] for number in sorted(once)]

    def head(self, key: str, size: int) -> bytes:
        """The first bytes of an object, `size` at most. Raises `NoSuchObject`."""
        body: bytes = self._call("get_object", Key=key, Range=f"bytes=0-{size - 1}")["Body"].read()
        return body

    def versions(self, prefix: str) -> Iterator[StoredVersion]:
        """Every version and delete marker under a prefix; of a bucket without versions, every object."""
        marker: dict[str, str] = {}
        while True:
            page = self._call("list_object_versions", Prefix=prefix, **marker)
            for kind in ("Versions", "DeleteMarkers"):
                for found in page.get(kind, []):
                    yield StoredVersion(
                        key=found["Key"],
                        version_id=found["VersionId"],
                        size=found.get("Size", 0),
                        is_latest=found["IsLatest"],
                        is_marker=kind == "DeleteMarkers",
                    )
            if not page.get("IsTruncated"):
                return
            marker = {name: page[f"Next{name}"] for name in ("KeyMarker", "VersionIdMarker")}

    def delete_version(self, key: str, version_id: str) -> None:
        """Remove one version for good, or a delete marker. Says nothing if it is gone already."""
        self._call("delete_object", Key=key, VersionId=version_id)

    def copy(self, key: str, new_key: str) -> None:
        """Copy an object of at most 5 GB within the store, encrypted and with the type that it has.

        Raises `NoSuchObject`.
        """
        self._call(
            "copy_object",
            Key=new_key,
            CopySource={"Bucket": self.bucket, "Key": key},
            MetadataDirective="COPY",
            **self.config.put_parameters,
        )

    def open_uploads(self, prefix: str = "") -> Iterator[OpenUpload]:
        """Every multipart upload under a prefix that was neither completed nor aborted, whoever began it."""
        marker: dict[str, str] = {}
        while True:
            page = self._call("list_multipart_uploads", Prefix=prefix, **marker)
            for found in page.get("Uploads", []):
                yield OpenUpload(key=found["Key"], upload_id=found["UploadId"], began_at=found["Initiated"])
            if not page.get("IsTruncated"):
                return
            # SeaweedFS names the upload alone, S3 the key as well.
            marker = {
                name: page[f"Next{name}"] for name in ("KeyMarker", "UploadIdMarker") if f"Next{name}" in page
            }

    def forget_unfinished_after(self, days: int) -> None:
        """Have the store itself drop uploads that were begun so long ago: the net under our own tidying.

        Replaces the bucket's lifecycle rules: for the demo and the tests; production adds it to its own.
        """
        rule = {
            "ID": "forget-unfinished-uploads",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
        }
        self._call("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": [rule]})


def _name_the_type(request: Any, **kwargs: Any) -> None:
    """A header that is there when the request is signed becomes part of the signature."""
    request.headers["Content-Type"] = PART_TYPE


@cache
def object_store() -> PortalStore:
    return PortalStore(
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
            kms_key=settings.S3_KMS_KEY,
        )
    )
