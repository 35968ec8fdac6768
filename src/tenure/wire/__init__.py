"""Everything that clients share with the server: values on the wire, ids and selectors, errors. Importing it imports nothing."""

PROTOCOL = 1
"""Version of the protocol between client and daemon. A daemon answers every client whose number it lists in `PROTOCOLS`."""

PROTOCOLS = (1,)
