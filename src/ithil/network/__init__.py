"""The DICOM upper layer (PS3.8) and DIMSE messages (PS3.7), without any idea of what is done with them.

Read in this order: `pdu` and `pdu_items` (what goes over the wire), `messages` (command sets), `states` (what
may happen when), `reader` and `association` (bytes in, events out, no I/O), `transport` (a socket joined to
that), and the two drivers: `acceptor`, whose associations live in `conversation` and call a `handler`, and
`requestor`. `negotiation` answers association requests by a policy.
"""
