"""DICOMweb (PS3.18) as a skin over the archive: it translates requests and answers, and decides nothing."""
