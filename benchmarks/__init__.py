"""What is claimed about speed, as commands anyone can run: Orthanc and Ithil side by side.

``python -m benchmarks`` starts Debian's Orthanc and Ithil in turn, each alone, on fresh directories of the
same disk with the same configuration file, sends both the same instances with the same tools and prints
Ithil/Orthanc for every workload. Figures of two different runs are never compared.

A reader goes from the outside in: ``__main__`` (the command) > ``workloads`` (what is measured) >
``servers`` (what is started), ``storescu``, ``upload`` and ``wrk`` (what sends), ``datasets`` (what is
sent) > ``template`` (how one instance is made). ``figures`` and ``report`` turn values into the table of
``docs/performance.md``; ``profile`` shows where Ithil spends its time in one workload.
"""
