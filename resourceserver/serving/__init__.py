"""Serving a WSGI application: addresses, worker processes, granian's listeners. One engine for all three servers.

Granian's own master listens on one address, reloads on SIGHUP, and waits for its own lock when it is told to end while
it is already ending, as a service manager's signal and a master's together tell it. Ours listens on several addresses
(127.0.0.1 and ::1), ends when its terminal does, and its workers end when it does. Of granian it uses the worker alone.
"""
