"""The rules for annotations that an API server can check by itself, in CEL, made from the operator's own.

What is said is taken from what the operator says of an example, so that both say the same. The chart's policies hold
what `policies` returns; `make render` writes it there.
"""
