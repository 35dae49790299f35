"""A picture of a run: times by rate, and below it what failed over and what was not answered. SVG, light and dark."""

from html import escape

STYLE = (
    "text{font:13px system-ui,'DejaVu Sans',sans-serif;fill:#1d2329}.soft{fill:#5b6670}.grid{stroke:#dfe2e0}.ground{fill:#fff}"
    ".p50{stroke:#3b78c9;fill:#3b78c9}.p95{stroke:#8a4fc7;fill:#8a4fc7}.p99{stroke:#c7362f;fill:#c7362f}.over{fill:#d98a00}.lost{fill:#c7362f}"
    "polyline{fill:none!important;stroke-width:2.5}.target{stroke:#5b6670;stroke-dasharray:6 5}"
    "@media (prefers-color-scheme:dark){text{fill:#e4e8eb}.soft{fill:#9aa5ae}.grid{stroke:#323a42}.ground{fill:#1b2026}"
    ".p50{stroke:#6ea6ef;fill:#6ea6ef}.p95{stroke:#c39af0;fill:#c39af0}.p99,.lost{stroke:#f07a72;fill:#f07a72}.over{fill:#f0b13c}}"
)
WIDTH, LEFT, RIGHT = 760, 64, 24
TOP, HIGH, BELOW, LOW = 52, 230, 352, 90


def _end(most: float) -> float:
    return next(step * 10**power for power in range(-1, 7) for step in (1, 2, 5) if step * 10**power >= most)


def svg(steps: list[dict], title: str, target_ms: float | None) -> str:
    """The picture of the steps, at least one."""
    width = (WIDTH - LEFT - RIGHT) / len(steps)
    middle = [LEFT + width * (at + 0.5) for at in range(len(steps))]
    most = _end(max([it["p99_ms"] or 0 for it in steps] + [target_ms or 1]))
    parts = [f'<rect class="ground" width="{WIDTH}" height="{BELOW + LOW + 58}" rx="8"/>', f'<text x="{LEFT}" y="26" font-weight="bold">{escape(title)}</text>']

    def y(ms: float) -> float:
        return TOP + HIGH - ms / most * HIGH

    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(most * share):.1f}" y2="{y(most * share):.1f}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 8}" y="{y(most * share) + 4:.1f}" text-anchor="end">{most * share:g} ms</text>')
    if target_ms:
        parts.append(f'<line class="target" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(target_ms):.1f}" y2="{y(target_ms):.1f}"/>')
        parts.append(f'<text class="soft" x="{WIDTH - RIGHT}" y="{y(target_ms) - 6:.1f}" text-anchor="end">target of p95</text>')
    for at, name in enumerate(("p50", "p95", "p99")):
        points = [(x, y(it[f"{name}_ms"])) for x, it in zip(middle, steps, strict=True) if it[f"{name}_ms"] is not None]
        parts.append(f'<polyline class="{name}" points="{" ".join(f"{x:.1f},{ms:.1f}" for x, ms in points)}"/>')
        parts += [f'<circle class="{name}" cx="{x:.1f}" cy="{ms:.1f}" r="4"/>' for x, ms in points]
        x = WIDTH - RIGHT - 156 + at * 56
        parts.append(f'<circle class="{name}" cx="{x}" cy="22" r="5"/><text x="{x + 9}" y="26">{name}</text>')
    shares = [((it["failover_share"] or 0) * 100, (1 - it["availability"]) * 100 if it["availability"] is not None else 0) for it in steps]
    end = _end(max([max(pair) for pair in shares] + [1]))
    for share in (0, 1):
        high = BELOW + LOW - share * LOW
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{high}" y2="{high}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 8}" y="{high + 4}" text-anchor="end">{end * share:g} %</text>')
    parts.append(f'<text x="{LEFT}" y="{BELOW - 18}">Calls by failover <tspan class="over">■</tspan>  and without an answer <tspan class="lost">■</tspan></text>')
    for x, it, (over, lost) in zip(middle, steps, shares, strict=True):
        for offset, name, value in ((-22, "over", over), (2, "lost", lost)):
            parts.append(f'<rect class="{name}" x="{x + offset:.1f}" y="{BELOW + LOW - value / end * LOW:.1f}" width="20" height="{value / end * LOW:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{BELOW + LOW + 20}" text-anchor="middle">{it["per_second"]:.0f}</text>')
    parts.append(f'<text class="soft" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{BELOW + LOW + 42}" text-anchor="middle">calls a second</text>')
    size = f'viewBox="0 0 {WIDTH} {BELOW + LOW + 58}" width="{WIDTH}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}"><style>{STYLE}</style>{"".join(parts)}</svg>\n'
