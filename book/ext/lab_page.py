"""The ticket lab's page: `{ticket-lab}` puts the lab into it."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class TicketLab(SphinxDirective):
    """What `lth.TicketLab()` shows in a notebook."""

    def run(self) -> list[nodes.Node]:
        import lth_utils as lth
        from lth_utils.figures.lab import page, stored

        for folder in (page.HERE, stored.folder()):
            for file in folder.iterdir():
                if file.is_file():
                    self.env.note_dependency(str(file))
        return [nodes.raw("", lth.TicketLab()._repr_html_(), format="html")]


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("ticket-lab", TicketLab)
