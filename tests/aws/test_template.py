"""The template, as far as it can be proved without an account: AWS's own checks, then our assertions."""

import json
import re
import shutil
import subprocess

import pytest

from tests.aws.tools import ENVIRONMENT, TEMPLATE, tool
from transcoding.engine import keys

TRANSFORM = TEMPLATE.with_name("transform.py")
TERRAFORM = TEMPLATE.parents[1] / "terraform"


@pytest.fixture(scope="session")
def transformed(tmp_path_factory):
    """Where the CloudFormation is that SAM makes of our template."""
    path = tmp_path_factory.mktemp("template") / "template.json"
    done = subprocess.run(
        [tool("python"), TRANSFORM], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    path.write_text(done.stdout)
    return path


@pytest.fixture(scope="session")
def resources(transformed):
    return json.loads(transformed.read_text())["Resources"]


def of_kind(resources, kind):
    return [found["Properties"] for found in resources.values() if found["Type"] == kind]


@pytest.mark.slow
def test_sam_finds_no_fault():
    done = subprocess.run(
        [tool("sam"), "validate", "--lint", "--template", TEMPLATE],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_cfn_lint_finds_no_fault_in_what_sam_makes_of_it(transformed):
    done = subprocess.run(
        [tool("cfn-lint"), transformed], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_sam_builds_it(tmp_path):
    """With stand-ins for the packages, which have a test of their own."""
    (tmp_path / "deploy" / "aws").mkdir(parents=True)
    (tmp_path / "build" / "lambda").mkdir(parents=True)
    for name in ("functions.zip", "ffmpeg-layer.zip"):
        (tmp_path / "build" / "lambda" / name).write_bytes(b"PK\x05\x06" + b"\0" * 18)
    template = shutil.copy(TEMPLATE, tmp_path / "deploy" / "aws")
    done = subprocess.run(
        [tool("sam"), "build", "--template", template, "--build-dir", tmp_path / "out"],
        env=ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "template.yaml").exists()


def test_functions_keep_lambdas_limits(resources):
    functions = of_kind(resources, "AWS::Lambda::Function")
    assert len(functions) == 2
    for function in functions:
        assert 0 < function["Timeout"] <= 900
        assert function["Architectures"] == ["x86_64"]
        assert function["Environment"]["Variables"]["FFMPEG_PATH"] == "/opt/bin/ffmpeg"
    template = TEMPLATE.read_text()
    for name, most in (("MemoryMegabytes", 10240), ("DiskMegabytes", 10240)):
        found = re.search(rf"{name}:.*?Default: (\d+).*?MaxValue: (\d+)", template, re.DOTALL)
        assert int(found[1]) <= int(found[2]) == most


def test_one_upload_is_not_converted_twice_for_want_of_patience(resources):
    queue, dead_letters = of_kind(resources, "AWS::SQS::Queue")
    (function,) = [one for one in of_kind(resources, "AWS::Lambda::Function") if "EphemeralStorage" in one]
    (mapping,) = of_kind(resources, "AWS::Lambda::EventSourceMapping")
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    assert 3 <= queue["RedrivePolicy"]["maxReceiveCount"] <= 5
    assert dead_letters["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert mapping["BatchSize"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert "MaximumConcurrency" in mapping["ScalingConfig"]


def test_every_kind_of_source_wakes_the_function_in_either_case(resources):
    (rule,) = of_kind(resources, "AWS::Events::Rule")
    suffixes = [
        pattern["suffix"]["equals-ignore-case"] for pattern in rule["EventPattern"]["detail"]["object"]["key"]
    ]
    assert set(suffixes) == {f".{extension}" for extension in keys.EXTENSIONS}
    assert rule["EventPattern"]["detail-type"] == ["Object Created"]
    assert "DeadLetterConfig" in rule["Targets"][0]


def test_the_bucket_is_private_encrypted_versioned_and_tells_of_arrivals(resources):
    (bucket,) = of_kind(resources, "AWS::S3::Bucket")
    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"]["Fn::If"][1:] == ["aws:kms", "AES256"]
    assert bucket["NotificationConfiguration"]["EventBridgeConfiguration"]["EventBridgeEnabled"] is True
    assert resources["Bucket"]["DeletionPolicy"] == "Retain"
    (policy,) = of_kind(resources, "AWS::S3::BucketPolicy")
    assert all(statement["Effect"] == "Deny" for statement in policy["PolicyDocument"]["Statement"])


def test_the_stream_is_reached_with_a_signature_alone(resources):
    (url,) = of_kind(resources, "AWS::Lambda::Url")
    assert (url["AuthType"], url["InvokeMode"]) == ("AWS_IAM", "RESPONSE_STREAM")
    permissions = of_kind(resources, "AWS::Lambda::Permission")
    assert {one["Action"] for one in permissions} == {"lambda:InvokeFunctionUrl", "lambda:InvokeFunction"}
    assert all("SourceArn" in one and one["Principal"] == "cloudfront.amazonaws.com" for one in permissions)
    (distribution,) = of_kind(resources, "AWS::CloudFront::Distribution")
    behavior = distribution["DistributionConfig"]["DefaultCacheBehavior"]
    assert behavior["TrustedKeyGroups"] == [{"Ref": "Viewers"}]
    assert behavior["ViewerProtocolPolicy"] == "https-only"
    (origin,) = distribution["DistributionConfig"]["Origins"]
    assert "OriginAccessControlId" in origin
    (cache,) = of_kind(resources, "AWS::CloudFront::CachePolicy")
    forwarded = cache["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"]["QueryStringsConfig"]
    assert forwarded == {"QueryStringBehavior": "whitelist", "QueryStrings": ["url", "key", "download"]}


def statements(resources):
    for name, found in resources.items():
        properties = found["Properties"]
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        if found["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::SQS::QueuePolicy"):
            documents.append(properties["PolicyDocument"])
        for document in documents:
            for statement in document["Statement"]:
                given = statement["Fn::If"][1] if "Fn::If" in statement else statement
                yield name, given


def test_no_policy_says_everything_where_a_name_will_do(resources):
    seen = list(statements(resources))
    assert len(seen) > 10
    for name, statement in seen:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        places = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert not any("*" in action for action in actions), name
        assert "*" not in places, name


def test_the_stream_may_read_and_not_write(resources):
    allowed = {
        action
        for name, statement in statements(resources)
        if name == "StreamRole"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert allowed == {
        "s3:GetObject",
        "s3:ListBucket",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "kms:Decrypt",
    }


def test_logs_do_not_stay_for_ever(resources):
    assert all("RetentionInDays" in group for group in of_kind(resources, "AWS::Logs::LogGroup"))
    assert len(of_kind(resources, "AWS::Logs::LogGroup")) == 2


def test_an_alarm_rings_for_dead_letters(resources):
    (alarm,) = of_kind(resources, "AWS::CloudWatch::Alarm")
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0, "GreaterThanThreshold")


def test_the_functions_get_no_secret_in_the_clear(resources):
    for function in of_kind(resources, "AWS::Lambda::Function"):
        assert "CALLBACK_SECRET" not in function["Environment"]["Variables"]


if shutil.which("terraform"):  # in no package registry, so that nobody can be asked to have it

    def test_the_terraform_module_is_well_formed():
        subprocess.run(["terraform", "fmt", "-check", "-recursive", TERRAFORM], check=True)


def test_the_terraform_module_finds_in_the_template_what_it_replaces():
    template, module = TEMPLATE.read_text(), (TERRAFORM / "main.tf").read_text()
    for path in re.findall(r'"(\.\./\.\./build/[^"]+)"', module):
        assert template.count(path) == 1
