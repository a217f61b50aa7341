"""A stand-in for IMAI's account API on loopback, for the demo, the tests and the benchmark.

It speaks real HTTP and checks a call as IMAI does (path, method, key, rate limit); then its mode decides the answer.
`GET /control` returns the simulator's state as JSON, `PUT /control` changes it. It can also serve sample answers of
other services (`pages`).
"""
