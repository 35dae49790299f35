"""The guide's pictures of dashboards: what Prometheus has said of a story, drawn as Grafana would lay it out.

    draw.py PANELS.json FOLDER

PANELS.json is what `dualpath-lab panels` writes. A picture has two panels a row; dotted lines mark what happened.
"""

import json
import math
import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, MaxNLocator
from PIL import Image

# Okabe and Ito's: distinct for those too who can't tell red from green.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D31", "#555555"]
DASHES = ["-", "--", "-.", ":"]
UNITS = {"reqps": "per second", "ms": "ms", "percentunit": "%", "percent": "%", "short": "", "s": "s", "d": "days",
         "bytes": "bytes", "cps": "per second"}
PICTURES = {
    "overview": ["How calls end", "Who answers", "How long calls take", "Health of servers"],
    "failover": ["Answered attempts", "Failed attempts", "Attempts per call", "Half of the calls, by who answers"],
    "breaker": ["State", "Next probe", "Probes", "Refusals of breakers"],
    "tokens": ["Refused by a server", "Changes of slot"],
    "tools": ["Calls by task", "Not answered, by task"],
    "pools": ["Connections and calls", "Connections that could not be made"],
}
WIDTH, HEIGHT_OF_A_ROW, DPI = 12.4, 4.1, 100
LARGEST = 60 << 10


def minutes(seconds, _=None):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def by_time(series, begun):
    return {round(at - begun): value for at, value in series["points"] if value is not None and math.isfinite(value)}


def draw_states(axes, panel, begun):
    rows = sorted(panel["series"], key=lambda series: series["name"], reverse=True)
    seen = {}
    for row, series in enumerate(rows):
        points = sorted(by_time(series, begun).items())
        for (at, value), (until, _) in zip(points, points[1:] + [(points[-1][0] + 1, None)]):
            name, colour = panel["states"][int(value)]
            hatch = {0: "", 1: "//", 2: ".."}[int(value)]
            seen[name] = axes.barh(row, until - at, left=at, height=0.6, color=colour, hatch=hatch, edgecolor="white", linewidth=0)
    axes.set_yticks(range(len(rows)), [series["name"] for series in rows])
    axes.legend(seen.values(), seen.keys(), loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=4, frameon=False)


def draw_lines(axes, panel, begun, span):
    scale = 100 if panel["unit"] == "percentunit" else 1
    series = sorted(panel["series"], key=lambda one: one["name"])
    times = list(range(span + 1))
    rows = [[by_time(one, begun).get(at, math.nan) * scale for at in times] for one in series]
    names = [re.sub(r"{{\w+}}", "", one["name"]).strip() or "all" for one in series]
    if panel["stacked"]:
        filled = [[0 if math.isnan(value) else value for value in row] for row in rows]
        colours = [COLOURS[at % len(COLOURS)] for at in range(len(rows))]
        areas = axes.stackplot(times, filled, labels=names, colors=colours, alpha=0.85)
        for at, area in enumerate(areas):
            area.set_hatch(["", "//", "..", "\\\\", "xx", "--", "oo", "++"][at % 8])
            area.set_edgecolor("white")
            area.set_linewidth(0)
    else:
        for at, (name, row) in enumerate(zip(names, rows)):
            axes.plot(times, row, label=name, color=COLOURS[at % len(COLOURS)], linestyle=DASHES[at % len(DASHES)], linewidth=2)
    # Room above, so that a line along the top is seen.
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    if axes.get_ylim()[1] < 1 and panel["unit"] == "short":
        axes.set_ylim(top=1)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel(UNITS[panel["unit"]])
    axes.grid(axis="y", color="#dddddd")
    columns = max(1, min(4, 92 // (max(map(len, names), default=0) + 8)))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncol=columns, frameon=False, fontsize=9)


def draw(picture, titles, story, folder):
    begun, span = story["begun"], round(story["ended"] - story["begun"])
    panels = {panel["title"]: panel for panel in story["panels"] if panel["dashboard"] == picture}
    plt.rcParams.update({"font.size": 10, "axes.titlesize": 12, "axes.titleweight": "bold", "axes.titlelocation": "left"})
    rows = len(titles) // 2
    figure, grid = plt.subplots(rows, 2, figsize=(WIDTH, HEIGHT_OF_A_ROW * rows), dpi=DPI, layout="constrained")
    for axes, title in zip(grid.flat, titles):
        panel = panels[title]
        axes.set_title(title, pad=20)
        if not panel["series"]:
            axes.text(0.5, 0.5, "no data", ha="center", transform=axes.transAxes)
        elif panel["states"]:
            draw_states(axes, panel, begun)
        else:
            draw_lines(axes, panel, begun, span)
        axes.set_xlim(0, span)
        axes.xaxis.set_major_formatter(FuncFormatter(minutes))
        axes.spines[["top", "right"]].set_visible(False)
        for letter, (at, _) in zip("ABCDEFGHIJ", story["told"]):
            axes.axvline(at - begun, color="#333333", linestyle=":", linewidth=1)
            axes.text(at - begun, 1.02, letter, ha="center", va="bottom", transform=axes.get_xaxis_transform(), fontsize=10)
    told = [f"{letter} {what}" for letter, (_, what) in zip("ABCDEFGHIJ", story["told"])]
    figure.supxlabel("minutes:seconds    " + "    ".join(told), fontsize=10)
    file = folder / f"{picture}.png"
    figure.savefig(file)
    plt.close(figure)
    # Few colours, so that the file is small.
    Image.open(file).convert("RGB").quantize(128, method=Image.Quantize.MAXCOVERAGE).save(file, optimize=True)
    size = file.stat().st_size
    print(f"{file}: {size} bytes")
    return size <= LARGEST


def main():
    story = json.loads(Path(sys.argv[1]).read_text())
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    small = [draw(picture, titles, story, folder) for picture, titles in PICTURES.items()]
    if not all(small):
        sys.exit(f"a picture has more than {LARGEST} bytes")


main()
