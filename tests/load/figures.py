"""Figures of a run: a table, and what was to be reached."""

import math

# What the first users wrote down: p95, calls a second, wait for a connection, availability.
TARGETS = {"p95_ms": 400, "rate": 100, "wait_ms": 100, "availability": 0.999}


def quantile(sorted_values: list[float], share: float) -> float | None:
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)] if sorted_values else None


def of_step(wanted: int, seconds: float, calls: list[tuple], outcomes: dict[str, float], wait_ms: float | None) -> dict:
    """`calls`: tool, ms, error or None, whether there was an answer at all, attempts or None."""
    took = sorted(ms for _, ms, error, _, _ in calls if error is None)
    answered = sum(1 for call in calls if call[3])
    errors: dict[str, int] = {}
    for _, _, error, _, _ in calls:
        if error:
            errors[error] = errors.get(error, 0) + 1
    total = sum(outcomes.values())
    attempts = [call[4] for call in calls if call[4] is not None]
    by_attempts = sum(1 for count in attempts if count > 1) / len(attempts) if attempts else None
    return {
        "wanted_per_second": wanted,
        "per_second": len(calls) / seconds if seconds else 0.0,
        "calls": len(calls),
        "p50_ms": quantile(took, 0.5),
        "p95_ms": quantile(took, 0.95),
        "p99_ms": quantile(took, 0.99),
        "errors": errors,
        "availability": answered / len(calls) if calls else None,
        "failover_share": outcomes.get("fallback", 0) / total if total else by_attempts,
        "wait_ms": wait_ms,
        "tools": {
            tool: {"calls": len(own), "p95_ms": quantile(own, 0.95)}
            for tool in sorted({call[0] for call in calls})
            for own in [sorted(call[1] for call in calls if call[0] == tool and call[2] is None)]
        },
    }


def shown(value: float | None, form: str = "{:.0f}", unit: str = "") -> str:
    return "-" if value is None else form.format(value) + unit


def percent(share: float | None) -> str:
    # Cut, not rounded: only what is whole is 100 %.
    return "-" if share is None else f"{math.floor(share * 10000 + 1e-7) / 100:.2f} %"


def table(steps: list[dict]) -> str:
    lines = [f"{'wanted/s':>8}  {'calls/s':>7}  {'calls':>6}  {'p50':>7}  {'p95':>7}  {'p99':>7}  {'errors':>6}  {'answered':>8}  {'by failover':>11}  {'pool wait':>9}"]
    for it in steps:
        lines.append(
            f"{it['wanted_per_second']:>8}  {it['per_second']:>7.1f}  {it['calls']:>6}  {shown(it['p50_ms'], unit=' ms'):>7}  {shown(it['p95_ms'], unit=' ms'):>7}  "
            f"{shown(it['p99_ms'], unit=' ms'):>7}  {sum(it['errors'].values()):>6}  {percent(it['availability']):>8}  {percent(it['failover_share']):>11}  "
            f"{shown(it['wait_ms'], '{:.1f}', ' ms'):>9}"
        )
    return "\n".join(lines)


def targets(steps: list[dict]) -> list[dict]:
    """What was to be reached, by the first step that asks for so many calls as the target says; availability by all steps."""
    at = next((it for it in steps if it["wanted_per_second"] >= TARGETS["rate"]), None)
    if at is None:
        return []
    calls = sum(it["calls"] for it in steps)
    answered = sum(it["calls"] * it["availability"] for it in steps if it["calls"]) / calls if calls else None
    best = max(it["per_second"] for it in steps)
    rows = [
        ("p95", f"below {TARGETS['p95_ms']} ms", shown(at["p95_ms"], unit=" ms"), at["p95_ms"] is not None and at["p95_ms"] < TARGETS["p95_ms"]),
        ("calls a second", f"{TARGETS['rate']} or more", f"{best:.1f}", best >= TARGETS["rate"]),
        ("wait for a connection", f"below {TARGETS['wait_ms']} ms", shown(at["wait_ms"], "{:.1f}", " ms"), at["wait_ms"] is None or at["wait_ms"] < TARGETS["wait_ms"]),
        ("answered", "99.9 %", percent(answered), answered is not None and answered >= TARGETS["availability"]),
    ]
    return [{"target": name, "wanted": wanted, "measured": measured, "met": met} for name, wanted, measured, met in rows]


def verdict(rows: list[dict]) -> str:
    head = f"{'target':<22}  {'wanted':<13}  {'measured':>9}"
    return "\n".join([head] + [f"{it['target']:<22}  {it['wanted']:<13}  {it['measured']:>9}  {'met' if it['met'] else 'MISSED'}" for it in rows])
