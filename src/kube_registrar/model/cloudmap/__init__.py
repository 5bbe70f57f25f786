"""AWS Cloud Map's API as values: its shapes, their checks, its errors.

Here and not with the server, because what answers (a registry) and what speaks the wire (a server) must agree on it
and may not know each other.
"""
