"""What refuses pixel data: one exception, so that each skin has one thing to answer."""

from __future__ import annotations


class PixelError(Exception):
    """The pixel data is damaged, contradicts its header, or is coded in a way that nothing here decodes.

    The message says what is wrong and never quotes a value that could be a patient's.
    """


class UnsupportedPixels(PixelError):
    """The pixel data may be sound, but no decoder for it is here, such as for a video."""
