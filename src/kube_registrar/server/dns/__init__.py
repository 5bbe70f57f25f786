"""DNS in front of a registry: authoritative for its zones, from answers that are rendered when it changes.

registry ── what changed ──▶ rendering ──▶ records ◀── answering ◀── serving ◀── packets
"""
