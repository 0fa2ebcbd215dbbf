"""What the backend keeps of SPEC.md: python -m pytest test_toyqueue.py"""

from toyqueue import TaskQueue

from worq.testing import QueueConformance


class TestToyQueue(QueueConformance):
    capabilities = ("reference", "manual clock")

    def make_queue(self, name, clock):
        return TaskQueue("toy://test", name, clock=clock)
