"""Tenure for agents: a server of the Model Context Protocol over the same client as everybody's (https://modelcontextprotocol.io).

Nothing here decides or remembers anything: every tool is a call of the daemon under the caller's own identity, so that rights, caps
and the record of changes are the daemon's and outlive this server. Invariant: a tool that changes something does nothing but say what
would happen until it is called again with the confirmation that it gave.
"""
