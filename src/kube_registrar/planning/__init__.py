"""Planning: wanted and observed in, changes out. Pure: no clock, no I/O, no memory."""
