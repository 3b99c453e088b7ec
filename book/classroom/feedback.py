"""What a student reads: points by question, what was expected and what came."""

from html import escape

from classroom.marking import Marks
from classroom.sources import Assignment


def page(assignment: Assignment, student: str, marks: Marks) -> str:
    """Return a student's page: HTML that needs nothing else, and holds no script."""
    earned = f"{sum(marks.points.values()):g} of {assignment.total:g} points"
    rows = "".join(_row(assignment, question, marks) for question in marks.points)
    board = "".join(
        f"<p>For the class's leaderboard: {escape(name)} {value:g}</p>"
        for name, value in marks.board.items()
    )
    return _PAGE.format(
        title=escape(f"{assignment.title}: {earned}"),
        name=escape(assignment.title),
        student=escape(student),
        earned=escape(earned),
        body=f"<p>{escape(marks.unread)}</p>" if marks.unread else _TABLE + rows + _END,
        board=board,
    )


def _row(assignment: Assignment, question: str, marks: Marks) -> str:
    """Return a question's row."""
    said = marks.messages.get(question, "All tests passed.")
    cells = [assignment.headings[question], f"{marks.points[question]:g}"]
    cells += [f"{assignment.questions[question]:g}", said]
    inner = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f"<tr><th scope='row'>{escape(question)}</th>{inner}</tr>"


_TABLE = (
    "<table><thead><tr><th scope='col'>Question</th><th scope='col'>Part</th>"
    "<th scope='col'>Points</th><th scope='col'>of</th>"
    "<th scope='col'>What was expected, and what came</th></tr></thead><tbody>"
)
_END = "</tbody></table>"
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; vertical-align: top; padding: .4rem .8rem;
  border-bottom: 1px solid; overflow-wrap: anywhere }}
</style>
</head>
<body>
<main>
<h1>{name}</h1>
<p>{student}: <strong>{earned}</strong></p>
{body}
{board}
</main>
</body>
</html>
"""
