"""Instances of clusters that are dead, rebuilt or renamed: found, shown, and evicted or taken over if a person says so.

`selection.py` decides, without I/O. `reading.py` and `kube.py` look, `showing.py` and `asking.py` speak to the person,
`writing.py` changes what was agreed to, and looks again just before.
"""
