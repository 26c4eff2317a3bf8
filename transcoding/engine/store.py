"""The object store: every word that is spoken to S3, in one place.

Two clients: one for the address at which we reach the store, one for the address at which browsers
reach it, because the host is part of a presigned URL's signature.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from transcoding.engine.errors import SourceMissing, TransientFault

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MIB = 1024**2
TRANSFER = TransferConfig(multipart_threshold=16 * MIB, multipart_chunksize=16 * MIB, max_concurrency=4)
GONE = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}


class StoreError(TransientFault):
    """The store did not do what it was asked; another try may."""

    def __init__(self, operation: str, code: str) -> None:
        self.operation = operation
        self.code = code
        super().__init__(f"{operation}: {code}")


class NoSuchObject(StoreError, SourceMissing):
    """There is no object under that key."""


class NoSuchUpload(StoreError):
    """The multipart upload was completed or aborted, or never began."""


class PartsRefused(StoreError):
    """The store does not have the parts that completion names, or their checksums differ."""


@dataclass(frozen=True, kw_only=True)
class StoreConfig:
    """Where the bucket is and how objects are put there."""

    bucket: str
    region: str
    endpoint: str | None = None
    """None: AWS."""
    public_endpoint: str | None = None
    access_key: str | None = None
    """None: from the environment or the machine's role, as boto3 does."""
    secret_key: str | None = None
    addressing: Literal["virtual", "path"] = "virtual"
    acl: str = ""
    """Empty omits it, as a bucket whose owner is enforced demands."""
    encryption: str = "AES256"
    kms_key: str = ""
    """Id or ARN, with `aws:kms` only; empty: the account's own `aws/s3`."""

    @property
    def put_parameters(self) -> dict[str, str]:
        acl = {"ACL": self.acl} if self.acl else {}
        key = {"SSEKMSKeyId": self.kms_key} if self.kms_key else {}
        return {**acl, **key, "ServerSideEncryption": self.encryption}


@dataclass(frozen=True, kw_only=True)
class StoredObject:
    """What the store says of an object without giving it."""

    size: int
    etag: str
    """Changes with the content; without the quotation marks."""
    content_type: str
    metadata: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class StoredPart:
    """A part as the store lists it."""

    number: int
    size: int
    etag: str
    sha256: str
    """Base64, as S3 writes it; empty if the part was sent without."""


@dataclass(frozen=True, kw_only=True)
class PresignedPart:
    """One permission to send one part, once its headers are sent as given."""

    number: int
    url: str
    headers: dict[str, str]
    expires_in: int


def is_sha256(text: str) -> bool:
    """Whether this is the base64 form of 32 bytes."""
    try:
        return len(base64.b64decode(text, validate=True)) == 32  # noqa: PLR2004 - 256 bits
    except (binascii.Error, ValueError):
        return False


class S3Store:
    """One private bucket. Raises `StoreError` and its kinds, never botocore's errors."""

    def __init__(self, config: StoreConfig) -> None:
        self.config = config
        self.bucket = config.bucket

    @cached_property
    def client(self) -> "S3Client":
        return self._client(self.config.endpoint)

    @cached_property
    def public_client(self) -> "S3Client":
        return self._client(self.config.public_endpoint or self.config.endpoint)

    def _client(self, endpoint: str | None) -> "S3Client":
        return boto3.session.Session().client(
            "s3",
            region_name=self.config.region,
            endpoint_url=endpoint,
            aws_access_key_id=self.config.access_key,
            aws_secret_access_key=self.config.secret_key,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": self.config.addressing},
                # S3-compatible stores do not all know the checksums that boto3 adds by itself.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"mode": "standard", "max_attempts": 3},
                connect_timeout=5,
                read_timeout=60,
            ),
        )

    def _call(self, operation: str, **parameters: Any) -> Any:
        try:
            return getattr(self.client, operation)(Bucket=self.bucket, **parameters)
        except (ClientError, BotoCoreError) as error:
            raise _translated(operation, error) from error

    # Objects

    def size(self, key: str) -> int | None:
        try:
            return int(self._call("head_object", Key=key)["ContentLength"])
        except NoSuchObject:
            return None

    def describe(self, key: str) -> StoredObject | None:
        """None if there is no such object."""
        try:
            found = self._call("head_object", Key=key)
        except NoSuchObject:
            return None
        return StoredObject(
            size=int(found["ContentLength"]),
            etag=found["ETag"].strip('"'),
            content_type=found.get("ContentType", ""),
            metadata=found.get("Metadata", {}),
        )

    def read_range(self, key: str, etag: str, start: int, end: int | None = None) -> Iterator[bytes]:
        """Bytes from `start` up to `end`, exclusive, of that version of the object, in constant memory.

        Raises `NoSuchObject`, and `StoreError` if the object has changed.
        """
        span = f"bytes={start}-{'' if end is None else end - 1}"
        body = self._call("get_object", Key=key, Range=span, IfMatch=f'"{etag}"')["Body"]
        try:
            yield from body.iter_chunks(MIB // 4)
        except BotoCoreError as error:
            raise _translated("get_object", error) from error
        finally:
            body.close()

    def read(self, key: str) -> bytes:
        """A small object's content, whole. Raises `NoSuchObject`."""
        body: bytes = self._call("get_object", Key=key)["Body"].read()
        return body

    def put(self, key: str, body: bytes, content_type: str) -> None:
        self._call("put_object", Key=key, Body=body, ContentType=content_type, **self.config.put_parameters)

    def delete(self, key: str) -> None:
        self._call("delete_object", Key=key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        token: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", Prefix=prefix, **token)
            yield from (entry["Key"] for entry in page.get("Contents", []))
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def download(self, key: str, path: Path, on_bytes: Callable[[int], None] | None = None) -> None:
        """Write the object to `path`, in constant memory. Raises `NoSuchObject`."""
        body = self._call("get_object", Key=key)["Body"]
        try:
            with path.open("wb") as file:
                for chunk in body.iter_chunks(MIB):
                    file.write(chunk)
                    if on_bytes:
                        on_bytes(len(chunk))
        except BotoCoreError as error:
            raise _translated("get_object", error) from error
        finally:
            body.close()

    def upload(
        self,
        path: Path,
        key: str,
        content_type: str,
        metadata: dict[str, str],
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        """Store the file, in parts if it is large: private, encrypted at rest, replacing what is there."""
        extra = {
            **self.config.put_parameters,
            "ContentType": content_type,
            "ContentDisposition": "inline",
            "Metadata": metadata,
        }
        try:
            self.client.upload_file(
                str(path), self.bucket, key, ExtraArgs=extra, Config=TRANSFER, Callback=on_bytes
            )
        except (ClientError, BotoCoreError, boto3.exceptions.Boto3Error) as error:
            raise _translated("upload_file", error) from error

    # Multipart uploads, whose parts browsers send by themselves

    def start_upload(self, key: str, content_type: str) -> str:
        """Begin a multipart upload whose parts carry SHA-256 checksums; gives its id."""
        answer = self._call(
            "create_multipart_upload",
            Key=key,
            ContentType=content_type,
            ChecksumAlgorithm="SHA256",
            **self.config.put_parameters,
        )
        return str(answer["UploadId"])

    def parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Every part that the store has, by number. Raises `NoSuchUpload`."""
        found: list[StoredPart] = []
        marker: dict[str, int] = {}
        while True:
            page = self._call("list_parts", Key=key, UploadId=upload_id, **marker)
            found += [
                StoredPart(
                    number=part["PartNumber"],
                    size=part["Size"],
                    etag=part["ETag"],
                    sha256=part.get("ChecksumSHA256", ""),
                )
                for part in page.get("Parts", [])
            ]
            if not page.get("IsTruncated"):
                return found
            marker = {"PartNumberMarker": page["NextPartNumberMarker"]}

    def join(self, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """Make the object from its parts. Raises `NoSuchUpload`, `PartsRefused`."""
        named = [
            {"PartNumber": part.number, "ETag": part.etag}
            | ({"ChecksumSHA256": part.sha256} if part.sha256 else {})
            for part in parts
        ]
        self._call("complete_multipart_upload", Key=key, UploadId=upload_id, MultipartUpload={"Parts": named})

    def abort(self, key: str, upload_id: str) -> None:
        """Forget the upload and its parts. Says nothing if it is gone already."""
        with suppress(NoSuchUpload):
            self._call("abort_multipart_upload", Key=key, UploadId=upload_id)

    # The bucket

    def check(self) -> None:
        """Raises `StoreError` if the bucket cannot be reached."""
        self._call("head_bucket")

    def create_bucket(self) -> None:
        """Make the bucket if it is not there: for the demo and the tests; production has its own."""
        try:
            self.check()
        except NoSuchObject:
            self._call("create_bucket")

    def allow_origins(self, origins: Sequence[str]) -> None:
        """Let pages of these origins, and no others, send parts and fetch objects."""
        rule = {
            "AllowedOrigins": list(origins),
            "AllowedMethods": ["GET", "HEAD", "PUT"],
            "AllowedHeaders": ["content-type", "range", "x-amz-checksum-sha256"],
            "ExposeHeaders": ["ETag", "x-amz-checksum-sha256"],
            "MaxAgeSeconds": 3600,
        }
        self._call("put_bucket_cors", CORSConfiguration={"CORSRules": [rule]})


def _translated(operation: str, error: Exception) -> StoreError:
    """Our own error for botocore's. Its text holds keys and addresses, and is left behind."""
    code = type(error).__name__
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", code)
    if code == "NoSuchUpload":
        return NoSuchUpload(operation, code)
    if code in GONE:
        return NoSuchObject(operation, code)
    if code in {"InvalidPart", "InvalidPartOrder", "EntityTooSmall", "BadDigest"}:
        return PartsRefused(operation, code)
    return StoreError(operation, code)
