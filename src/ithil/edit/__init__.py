"""Changing and creating data sets: bytes and rules in, bytes out; knows nothing of the archive."""
