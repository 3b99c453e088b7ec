"""The lab as a fragment of a page, which holds everything that it needs."""

import hashlib
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from lth_utils.figures.lab.payload import ARMS, payload

HERE = Path(__file__).parent
_BEGIN = (
    "for (const box of document.querySelectorAll('.lth-lab:not([data-lab])'))"
    " mount(box);"
)


class TicketLab:
    """A lab in a page: draw a digit, and four networks say what it is.

    The dense LeNet, a winning ticket, its reinit and a random mask answer side by
    side, at the density that a slider chooses; it needs no kernel and no network.
    In a notebook, let a cell end with `lth.TicketLab()`.

    The tickets are those that the recorded run `lenet-mnist`, profile `paper`,
    found with its first seed, and a few rounds more. Each network was trained by
    that run's recipe and has the weights of its early stop, a byte each;
    `results/lenet-mnist/lab` says what that changes.

    Raises:
        LotteryError: If the stored networks are missing or damaged.
    """

    def __init__(self) -> None:
        self.payload = payload()

    def __repr__(self) -> str:
        """Name what text alone cannot show."""
        each = ", ".join(level["label"] for level in self.payload["levels"])
        return f"A lab of networks that read digits. Weights remaining: {each}"

    def _repr_html_(self) -> str:
        """Return the lab as a fragment of a page.

        Its script is a module, so no name enters the page. Its id hashes its
        content, so that a build repeats itself.
        """
        data = json.dumps(self.payload, separators=(",", ":")).replace("<", "\\u003c")
        style = (HERE / "lab.css").read_text("utf-8")
        inside = (
            f"<style>{style}</style>{plain(self.payload)}"
            f'<script type="application/json">{data}</script>'
            f'<script type="module">{script()}</script>'
        )
        digest = hashlib.sha256(inside.encode()).hexdigest()[:12]
        return f'<div class="lth-lab" id="lth-lab-{digest}">{inside}</div>'


def script() -> str:
    """Return both files of the lab's JavaScript as one module, which begins."""
    arithmetic, drawing = (
        (HERE / name).read_text("utf-8") for name in ("networks.js", "lab.js")
    )
    alone = re.sub(r'^import .* from "\./networks\.js";\n', "", drawing, flags=re.M)
    return f"{arithmetic}{alone}{_BEGIN}"


def plain(given: dict[str, Any]) -> str:
    """Return the accuracies by density as a table, which needs no script."""
    networks, arms = given["networks"], ARMS[1:]
    dense = networks["dense-0"]
    least = dense["test"] - given["broken"]
    rows = []
    for level in given["levels"]:
        found = [networks[f"{arm}-{level['round']}"] for arm in arms]
        cells = [
            f'<td class="lth-lab-broken">{_told(each)}*</td>'
            if each["test"] < least
            else f"<td>{_told(each)}</td>"
            for each in found
        ]
        rows.append(f'<tr><th scope="row">{level["label"]}</th>{"".join(cells)}</tr>')
    heads = "".join(
        f'<th scope="col">{given["arms"][arm]["label"]}</th>' for arm in arms
    )
    caption = (
        "Right answers to MNIST's 10,000 test images in percent, by networks of one"
        " seed with a byte for each weight; in brackets, with the weights as trained."
        f" The dense network: {_told(dense)}. * more than {100 * given['broken']:g}"
        " point below it."
    )
    return (
        '<div class="lth-lab-plain"><p class="lth-lab-without">The lab itself needs'
        " JavaScript. This is how well its networks read digits.</p>"
        f"<table><caption>{escape(caption)}</caption>"
        f'<thead><tr><th scope="col">Weights</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _told(network: dict[str, float]) -> str:
    return f"{100 * network['test']:.2f} ({100 * network['exact']:.2f})"
