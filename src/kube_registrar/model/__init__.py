"""The values all packages share. Nothing here reads a clock, does I/O or imports another package of ours."""
