variable "name" {
  type        = string
  description = "Name of the stack, and the beginning of every name in it."
}

variable "packages" {
  type        = string
  description = "Folder with functions.zip and ffmpeg-layer.zip, as `make lambda` leaves them."
  default     = "../../build/lambda"
}

variable "packages_bucket" {
  type        = string
  description = "Bucket for the packages: not the one for videos."
}

variable "parameters" {
  type        = map(string)
  description = "Parameters of deploy/aws/template.yaml."
  default     = {}
}
