"""A long, rough day at the DICOM port, in minutes: `python -m tests.soak --seconds 600`."""
