"""The page on speed, from `results/bench/`: its table, pictures and numbers.

- `{speed-table}` holds every ratio against its floor and its aim.
- `{speed-figure} steps` or `ratios` draws and shows a picture.
- `` {speed}`sweep` `` is a single number, so that none is typed.
"""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import page_parts
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole

FILES = ("bench.json", "provenance.json", "steps.csv.gz")
ENGINES = {
    "textbook": ("textbook", "#000000", "s", (5, 2)),
    "autograd": ("any network", "#E69F00", "D", (1.5, 1)),
    "mlp": ("LeNet, whole products", "#0072B2", "o", ()),
    "pixels": ("LeNet, what is not 0", "#CC79A7", "v", (3, 1)),
    "sparse": ("LeNet, surviving weights", "#009E73", "^", (6, 1.5, 1.5, 1.5)),
}


def folder(env: BuildEnvironment) -> Path:
    """Return the record's folder; a page that reads it is made anew with it."""
    found = Path(env.srcdir) / "results" / "bench"
    for name in FILES:
        if not (found / name).is_file():
            page_parts.stop(
                f"The page on speed shows results/bench/{name}, which is missing:"
                " make bench RECORD=1 measures it."
            )
        env.note_dependency(str(found / name))
    return found


def numbers(record: Path) -> dict[str, Any]:
    """Return every number and word that the page may cite."""
    from lth_utils.training.lenet.sparse import CROSSOVER, CROSSOVER_FULL

    ratios = json.loads((record / "bench.json").read_text("utf8"))
    page = json.loads((record / "provenance.json").read_text("utf8"))
    constant, slope = line(medians(record, "sparse"))
    return {
        **page,
        **ratios,
        "constant_us": constant,
        "percent_us": slope / 100,
        "crossover_percent": 100 * ratios["crossover"],
        "changes_percent": 100 * CROSSOVER,
        "changes_full_percent": 100 * CROSSOVER_FULL,
    }


def medians(
    record: Path, engine: str, value: Callable[[Any], Any] | None = None
) -> dict[float, float]:
    """Return an engine's median by density: microseconds a step, or a ratio.

    Args:
        record: The record's folder.
        engine: The contender.
        value: What is taken of a repeat's times by contender; None is the
            engine's own.
    """
    import pandas as pd

    rows = pd.read_csv(record / "steps.csv.gz")
    keys = ["density", "repeat"]
    times = rows.pivot(index=keys, columns="contender", values="microseconds")
    taken = value(times) if value else times[engine]
    return {float(d): median(each) for d, each in taken.groupby("density")}


def timed(record: Path) -> list[str]:
    """Return the library's engines that a record holds, in their order."""
    import pandas as pd

    there = set(pd.read_csv(record / "steps.csv.gz")["contender"])
    return [engine for engine in ENGINES if engine in there - {"textbook"}]


def line(times: dict[float, float]) -> tuple[float, float]:
    """Fit constant + slope * density, every density's relative error alike."""
    import numpy as np

    density, time = map(np.array, zip(*times.items(), strict=True))
    columns = np.stack([np.ones_like(density), density], axis=1) / time[:, None]
    constant, slope = np.linalg.lstsq(columns, np.ones_like(time), rcond=None)[0]
    return float(constant), float(slope)


def draw(record: Path, which: str) -> Any:
    """Draw "steps", on linear axes, or "ratios", on logarithmic ones."""
    return {"steps": _draw_steps, "ratios": _draw_ratios}[which](record)


def _draw_steps(record: Path) -> Any:
    from lth_utils.figures import drawing

    times = {ENGINES[e][0]: medians(record, e) for e in timed(record)}
    constant, slope = line(medians(record, "sparse"))
    fitted = drawing.Look("constant + line", "#777777", "", (1, 1))
    looks = {how: look for how, look in _looks().items() if how in times}
    with drawing.canvas(1) as (figure, (axis,)):
        drawing.lines(axis, _rows(times), "percent", "value", looks, "how")
        ends = (constant, constant + slope)
        axis.plot((0, 100), ends, color=fitted.colour, ls=(0, fitted.dash), lw=1.4)
        axis.set(xlabel="weights remaining (%)", ylabel="microseconds a step")
        axis.set_ylim(bottom=0)
        axis.invert_xaxis()
        drawing.legend(figure, [*looks.values(), fitted], "")
    return figure


def _draw_ratios(record: Path) -> Any:
    from lth_utils.figures import plots

    ratios = {
        ENGINES[engine][0]: medians(
            record, engine, lambda t, e=engine: t["textbook"] / t[e]
        )
        for engine in timed(record)
    }
    looks = {how: look for how, look in _looks().items() if how in ratios}
    label = "times as fast as the textbook loop"
    return plots.over_density(_rows(ratios), "value", label, looks, log=True)


def _looks() -> dict[str, Any]:
    from lth_utils.figures.drawing import Look

    return {label: Look(label, *look) for label, *look in ENGINES.values()}


def _rows(lines: dict[str, dict[float, float]]) -> Any:
    """Return a row a point: how, density, percent, value."""
    import pandas as pd

    rows = [
        {"how": how, "density": density, "percent": 100 * density, "value": value}
        for how, each in lines.items()
        for density, value in each.items()
    ]
    return pd.DataFrame(rows)


def people(value: float) -> str:
    """Write a number with three digits, and no exponent.

    >>> people(1712.3), people(8.66), people(0.4321)
    ('1,712', '8.66', '0.432')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def save(figure: Any, path: Path) -> None:
    """Write an SVG; the same figure gives the same bytes, and no new file."""
    import io

    import matplotlib

    text = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    if not path.is_file() or path.read_bytes() != text.getvalue():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.getvalue())


class SpeedFigure(Figure, SphinxDirective):
    """A picture of the record: `steps` or `ratios`; the content is its caption."""

    def run(self) -> list[nodes.Node]:
        which = self.arguments[0]
        path = Path(self.env.srcdir) / "_build" / "speed" / f"{which}.svg"
        save(draw(folder(self.env), which), path)
        self.arguments[0] = f"/_build/speed/{which}.svg"
        return super().run()


class SpeedTable(SphinxDirective):
    """Every ratio, what is asked of it, and whether it was reached."""

    def run(self) -> list[nodes.Node]:
        from benchmarks.targets import TARGETS

        found = numbers(folder(self.env))
        rows = [page_parts.row("What is compared", "Ratio", "Floor", "Aim", "")]
        for target in TARGETS:
            if (value := found.get(target.key)) is None:
                continue  # an older record
            cells = (people(value), *target.asked(), target.verdict(value))
            rows.append(page_parts.row(target.words, *cells))
        return [page_parts.table(rows, (6, 1, 1, 1, 1))]


class Speed(SphinxRole):
    """A number or a word of the record."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        found = numbers(folder(self.env))
        if self.text not in found:
            page_parts.stop(
                f"The page on speed cites {self.text!r}: expected one of"
                f" {', '.join(found)}."
            )
        value = found[self.text]
        text = people(value) if isinstance(value, float) else str(value)
        return [nodes.Text(text)], []


def setup(app: Sphinx) -> None:
    """Add the directives and the role."""
    app.add_directive("speed-figure", SpeedFigure)
    app.add_directive("speed-table", SpeedTable)
    app.add_role("speed", Speed())
