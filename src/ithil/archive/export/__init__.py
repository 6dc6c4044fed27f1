"""ZIP archives and DICOMDIR media of any set of resources, made while they are read.

From the outside in: `stream` (the whole archive as pieces of bytes) > `selection` (which resources) and `walk`
(their files, one after the other) > `members` (a file becomes the compressed bytes of its entry) on the
threads of `ahead`, `names` (what an entry is called), `dicomdir` with `records` (the directory of a medium),
`zip_format` (the bytes around the entries). Nothing here holds more than a few files in memory.
"""
