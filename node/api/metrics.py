"""Prometheus metrics in a registry of their own.

What the node knows is read from it once per scrape (`Backend.metrics`), so it costs nothing in between;
only times are observed as they pass. Labels come from small closed sets: no transaction, member or
peer address ever becomes one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from node.api.backend import Backend
from node.api.node_metrics import HELP

SECONDS_BUCKETS: Final = (0.002, 0.01, 0.05, 0.25, 1.0, 5.0)
COMMIT_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
WATCHED_BLOCKS: Final = 100
"""Of many blocks that come at once only the last so many are observed."""
_LABEL: Final = re.compile(r'([a-z_]+)="([^"\\]*)"')


class ApiMetrics:
    """All metrics of one node. `now` is a monotonic clock in seconds."""

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        # One more series for each, that nobody reads: when the counter was created.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._node = _NodeCollector()
        self._registry.register(self._node)
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "weal_api_requests", "Requests answered.", ("operation", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "weal_api_request_seconds",
            "Time to answer, waiting and streams included.",
            ("operation",),
            buckets=SECONDS_BUCKETS,
            registry=self._registry,
        )
        self._interval = Histogram(
            "weal_block_interval_seconds",
            "Time between commits on this node.",
            buckets=SECONDS_BUCKETS,
            registry=self._registry,
        )
        self._commit = Histogram(
            "weal_commit_latency_seconds",
            "From a transaction's arrival at this node's API to its commit.",
            buckets=COMMIT_BUCKETS,
            registry=self._registry,
        )

    def observe(self, operation: str, status: int, seconds: float) -> None:
        self._requests.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def render(self, node: Mapping[str, float]) -> bytes:
        self._node.latest = node
        return generate_latest(self._registry)

    async def watch_commits(self, backend: Backend) -> None:
        """For ever: block intervals, and how long this node's clients waited for their transactions."""
        height, seen_s = backend.as_of().height, self.now()
        while True:
            reached = await backend.wait_height(height, 60.0)
            now_s = self.now()
            if reached > height:
                # Several blocks at once, as while catching up, count as one interval each.
                interval_s = (now_s - seen_s) / (reached - height)
                for number in range(max(height + 1, reached - WATCHED_BLOCKS + 1), reached + 1):
                    self._interval.observe(interval_s)
                    for waited_s in backend.waited_s(number, now_s):
                        self._commit.observe(waited_s)
                height, seen_s = reached, now_s


class _NodeCollector(Collector):
    """Gives the node's own values, read once per scrape, to the registry."""

    latest: Mapping[str, float] = {}

    def collect(self) -> Iterable[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for key, value in self.latest.items():
            name, labels = _parsed(key)
            family = families.get(name)
            if family is None:
                kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
                family = families[name] = kind(name, HELP.get(name, name), labels=sorted(labels))
            family.add_metric([labels[label] for label in sorted(labels)], value)
        return families.values()


def _parsed(key: str) -> tuple[str, dict[str, str]]:
    """`name{label="x"}` as name and labels."""
    name, _, rest = key.partition("{")
    return name, dict(_LABEL.findall(rest))
