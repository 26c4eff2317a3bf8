# A thin module around deploy/aws/template.yaml, which stays the one source of truth. `make lambda` first.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

resource "aws_s3_object" "functions" {
  bucket = var.packages_bucket
  key    = "${var.name}/functions-${filesha256("${var.packages}/functions.zip")}.zip"
  source = "${var.packages}/functions.zip"
}

resource "aws_s3_object" "ffmpeg_layer" {
  bucket = var.packages_bucket
  key    = "${var.name}/ffmpeg-layer-${filesha256("${var.packages}/ffmpeg-layer.zip")}.zip"
  source = "${var.packages}/ffmpeg-layer.zip"
}

locals {
  # What `sam package` would write: where the zips are, instead of their local paths.
  template = replace(
    replace(
      file("${path.module}/../aws/template.yaml"),
      "../../build/lambda/functions.zip",
      "s3://${aws_s3_object.functions.bucket}/${aws_s3_object.functions.key}",
    ),
    "../../build/lambda/ffmpeg-layer.zip",
    "s3://${aws_s3_object.ffmpeg_layer.bucket}/${aws_s3_object.ffmpeg_layer.key}",
  )
}

resource "aws_cloudformation_stack" "portal" {
  name          = var.name
  template_body = local.template
  capabilities  = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
  parameters    = var.parameters
}
