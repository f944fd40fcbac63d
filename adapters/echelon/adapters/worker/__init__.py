"""The process of its own that an adapter runs in: `python -m echelon.adapters.worker`, started by a server.

Needs nothing but the SDK. `guardian` keeps the process and its offspring from outliving the server, `frames` and
`values` are what is spoken, `service` is what the adapter's methods are called from.
"""
