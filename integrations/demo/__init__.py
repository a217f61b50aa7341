"""A stand-in for IMAI's account API on loopback: what the demo shows, and what tests and the benchmark ask.

It speaks real HTTP. A call is checked as IMAI checks it (path, method, key, rate limit); then the mode decides how it
is answered. `GET /control` tells the simulator's state as JSON, `PUT /control` changes it. Samples of other services
can be served beside it (`pages`).
"""
