"""What Envoy's admin interface or metrics port tells meanwhile: calls by outcome, and how many wait for a connection."""

import re
import urllib.request

import gevent

LOOK_EVERY_S = 0.05
# `envoy_cluster_name="x"` and `{name="x"}` alike.
SERIES = re.compile(r"^(\w+)(?:\{(.*?)\})? ([0-9.e+]+)$", re.MULTILINE)


class Admin:
    """An admin interface; none where its URL is not known."""

    def __init__(self, url: str | None):
        self.url = url.rstrip("/") if url else None
        self.looks = 0
        self.waiting = 0.0

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return answer.read().decode()

    def outcomes(self) -> dict[str, float]:
        """Calls of tools so far, by how they ended."""
        found: dict[str, float] = {}
        if self.url:
            for name, labels, value in SERIES.findall(self._get("/stats/prometheus?filter=cortex_calls_total")):
                status = re.search(r'status="(\w+)"', labels or "")
                if name.endswith("cortex_calls_total") and status and 'task="protocol"' not in labels:
                    found[status.group(1)] = found.get(status.group(1), 0.0) + float(value)
        return found

    def watch(self):
        """Counts those that wait, until it is killed."""
        while self.url:
            text = self._get("/stats?filter=upstream_rq_pending_active")
            self.waiting += sum(int(line.rsplit(": ", 1)[1]) for line in text.splitlines() if line.rsplit(": ", 1)[-1].isdigit())
            self.looks += 1
            gevent.sleep(LOOK_EVERY_S)

    def wait_ms(self, looks: int, waiting: float, rate: float) -> float | None:
        """What a call has waited since then, on average, by Little's law: the mean length of the queue by the rate of calls."""
        if self.looks == looks or not rate:
            return None
        return (self.waiting - waiting) / (self.looks - looks) / rate * 1000
