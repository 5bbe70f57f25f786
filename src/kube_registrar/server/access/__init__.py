"""Access: signatures that are checked, keys with roles, limits, TLS. `guard.Guard` is what the wire asks."""
