output "stack" {
  description = "What the template gives out: bucket, function, addresses, policy."
  value       = aws_cloudformation_stack.portal.outputs
}
