"""Pictures: decoding, rendering, encoding and transcoding of pixel data; knows nothing of the archive."""
