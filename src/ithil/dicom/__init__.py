"""Pure DICOM: bytes in, values out, without I/O.

From the bottom: `encoding` (element headers), `part10` (file meta information), `charsets` and `values`
(text), `dictionary` (names and VRs) and `uids`. On these stand `scan` (what the index needs of a header, and
fast), `frames` (where frames lie), `dataset` and `tags_format` (all tags, as JSON). `identifiers` and
`main_tags` say how resources are named and what is remembered of them.
"""
