"""Real servers as tests need them: started with a configuration of their own, awaited, stopped or killed.

`orthanc` and `ithil` give a DICOM server on free ports in a folder of its own, `postgresql` a fresh database
cluster, `web` the HTTP client that asks them without changing a request on its way.
"""
