"""Health checks that the registry makes by itself: Cloud Map has Route 53 make them.

    state tells of instances ─▶ checker: when, how many at once ─▶ probing: one connection ─▶ health: changes a status

`addresses` says what may be checked at all, `endpoints` where an instance is.
"""
