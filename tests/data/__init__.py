"""DICOM files for tests: `real` finds those that pydicom and pydicom-data bring, `synthetic` builds series."""
