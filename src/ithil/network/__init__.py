"""The DICOM upper layer (PS3.8) and DIMSE messages (PS3.7), without any idea of what is done with them.

Read in this order: `pdu` and `pdu_items` (what goes over the wire), `messages` (command sets), `states` (what
may happen when), `reader` and `association` (bytes in, events out, no I/O), `transport` (a socket joined to
that), and the two drivers: `acceptor` and `requestor`. What the acceptor lets in, `associations` gives a thread, in
which it lives as a `conversation` that calls a `handler`, or a place in the `store_loop`. `negotiation` answers
association requests by a policy.
"""
