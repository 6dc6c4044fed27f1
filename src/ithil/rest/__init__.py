"""Orthanc's REST API as a skin over the archive: it translates requests and answers, and decides nothing."""
