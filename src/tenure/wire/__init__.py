"""Everything that clients share with the server: values on the wire, ids and selectors, errors. Importing it imports nothing."""

PROTOCOL = 2
"""Version of the protocol between client and daemon. A daemon answers every client whose number it lists in `PROTOCOLS`."""

PROTOCOLS = (1, 2)

ROOT = "/api/v1"
"""Where everything is that can be called."""

MEETING = "/v1"
"""Where a client asks a daemon of any version how it is, or to go. Everything was there in protocol 1, and still answers as then."""
