"""HTTP below the skins: from a request of the HTTP server to the handler of a route, and back.

Orthanc's REST API and DICOMweb are tables of routes (`routing`) of one application (`server`).
"""
