"""Print the CloudFormation template that SAM makes of ours, as JSON. Runs where the AWS tools are.

.venv/aws/bin/python deploy/aws/transform.py > template.json
"""

import json
import os
import sys
from pathlib import Path

from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


def main() -> None:
    os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")
    template = yaml_parse(Path(__file__).with_name("template.yaml").read_text(encoding="utf-8"))
    # As `sam package` leaves it: the zips are in a bucket.
    template["Globals"]["Function"]["CodeUri"] = "s3://packages/functions.zip"
    template["Resources"]["FfmpegLayer"]["Properties"]["ContentUri"] = "s3://packages/ffmpeg-layer.zip"
    json.dump(transform(template, {}, ManagedPolicyLoader(None)), sys.stdout, default=str)


if __name__ == "__main__":
    main()
