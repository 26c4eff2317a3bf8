"""The converter: probe, plan, run, verify. Imports no Django.

The worker and the Lambda call the same function, `transcode()`.
"""
