"""The domain: what a call, a unit and a request are, and which facts may follow from which orders.

Pure functions over frozen values: no clock, no randomness, no I/O, no framework.
"""
