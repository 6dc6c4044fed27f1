"""From stored frames to pixels and pictures: describe, decode, render, transcode.

Nothing here knows of files, archives or HTTP: bytes and parsed headers come in, arrays and coded pictures go
out. Whatever the bytes, a function returns a value or raises `ithil.pixels.errors.PixelError`.
"""
