"""The functions' settings, from their environment: what the template gives them."""

import os
from functools import cache
from pathlib import Path

import boto3

from transcoding.engine.store import StoreConfig


class Misconfigured(Exception):
    """A setting is missing or makes no sense; told when the function starts."""


def store_config() -> StoreConfig:
    """Where the bucket is, and how objects are put into it."""
    return StoreConfig(
        bucket=required("BUCKET"),
        region=region(),
        endpoint=os.environ.get("S3_ENDPOINT") or None,
        addressing="path" if os.environ.get("S3_ENDPOINT") else "virtual",
        acl=os.environ.get("S3_ACL", ""),
        encryption=os.environ.get("S3_ENCRYPTION") or "AES256",
        kms_key=os.environ.get("S3_KMS_KEY", ""),
    )


def work_dir() -> Path:
    return Path(os.environ.get("WORK_DIR") or "/tmp")  # noqa: S108 - Lambda's only disk


def region() -> str:
    return os.environ.get("AWS_REGION", "us-east-1")


def required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise Misconfigured(f"{name} must be set.")
    return value


def whole(name: str, default: int) -> int:
    given = os.environ.get(name) or str(default)
    if not given.isdecimal():
        raise Misconfigured(f"{name} must be a whole number.")
    return int(given)


@cache
def callback_secret() -> str:
    """The secret that reports are signed with: from Secrets Manager, once for each environment."""
    name = os.environ.get("CALLBACK_SECRET_ARN", "")
    if not name:
        return required("CALLBACK_SECRET")
    secrets = boto3.session.Session().client("secretsmanager", region_name=region())
    return str(secrets.get_secret_value(SecretId=name)["SecretString"])
