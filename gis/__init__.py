FORMAT_VERSION = 4
"""Raised whenever the files of a city change shape; older cities are then imported again. It stands here so
that asking for it imports nothing else."""
