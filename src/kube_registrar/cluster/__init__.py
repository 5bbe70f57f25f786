"""The edge to the Kubernetes API: credentials, one session, list-and-watch, evidence, events and status.

`session` speaks HTTP, `projection` makes slim records of the answers, `watching` keeps a listener true to the cluster,
`lookup` gets one object for evidence, `events` and `status` write what users read.
"""
