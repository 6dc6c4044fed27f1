"""DICOM files for tests: `real` finds those of pydicom and pydicom-data, `synthetic` builds series."""
