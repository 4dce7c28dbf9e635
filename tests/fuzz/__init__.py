"""Random whole diagrams, checked against an oracle that shares no pass and no kernel with them."""
