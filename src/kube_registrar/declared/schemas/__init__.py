"""What the custom resource definitions hold beside types: a text for every field, limits, and rules of apply time.

Types, enums, what is required and defaults come from `declared.specs`, so no field can be in one and not in the other.
`make render` writes `crds/` and the reference page from both.
"""
