"""The front page's picture: a recorded ticket, round by round, on a slider.

`{ticket-slider}` shows it; the content is its caption.
"""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROUNDS = (0, 3, 7, 11, 15, 19)
UNITS = 20, 14, 10  # of 300, 100 and 10
DRAWN = (
    "Three rows of dots, units of LeNet, and lines between the rows, the weights:"
    " orange if their first value is above zero, purple if below, wider if it is"
    " larger. The fewer weights remain, the fewer lines there are."
)


class TicketSlider(SphinxDirective):
    """Tickets of the recorded run as networks of dots and lines."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Draw them; the first seed's."""
        import lth_utils as lth

        found = {
            ticket.masks.density: ticket
            for ticket in (
                lth.recorded_tickets("lenet-mnist", "paper", number)[0]
                for number in ROUNDS
            )
        }
        slider = lth.explore(
            lambda density: (_drawn(found[density]), _said(found[density])),
            alt=DRAWN,
            density=list(found),
        )
        figure = nodes.figure("", nodes.raw("", slider._repr_html_(), format="html"))
        text = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, text)
        figure += nodes.caption("", "", *text[0].children)
        return [figure]


def _drawn(ticket: Any) -> Any:
    """Draw a ticket's two upper layers, between some of their units."""
    import matplotlib.pyplot as plt
    from matplotlib.collections import LineCollection

    from lth_utils.figures.drawing import ABOVE, BELOW, WIDTH

    figure, axis = plt.subplots(figsize=(WIDTH, 3.1), layout="constrained")
    places = [[(i + 0.5) / n for i in range(n)] for n in UNITS]
    for height, name in enumerate(("fc2.weight", "output.weight")):
        below, above = places[height], places[height + 1]
        part = slice(len(above)), slice(len(below))
        values, alive = ticket.init[name][part], ticket.masks[name][part]
        ends = alive.nonzero().tolist()
        lines = [[(below[i], height), (above[o], height + 1)] for o, i in ends]
        first = [values[o, i].item() for o, i in ends]
        largest = values.abs().max().item()
        axis.add_collection(
            LineCollection(
                lines,
                colors=[ABOVE if value > 0 else BELOW for value in first],
                linewidths=[0.3 + 2.2 * abs(value) / largest for value in first],
            )
        )
    for height, across in enumerate(places):
        axis.plot(across, [height] * len(across), "o", color="#333333", ms=5)
    axis.set(xlim=(0, 1), ylim=(-0.15, 2.15))
    axis.axis("off")
    return figure


def _said(ticket: Any) -> str:
    masks = ticket.masks
    return f"{masks.remaining:,} of all {masks.total:,} weights are left."


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("ticket-slider", TicketSlider)
