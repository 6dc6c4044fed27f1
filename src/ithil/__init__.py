"""Ithil: a DICOM server and vendor neutral archive that speaks Orthanc's REST API and configuration."""

__version__ = "0.1.0"
