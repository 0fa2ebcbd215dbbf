"""The proxy of the kit, for the tests of the Redis queue."""

from worq.testing.proxy import Fault, Proxy

__all__ = ["Fault", "Proxy"]
