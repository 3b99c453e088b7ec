"""What the tests of the book share beside `book_fixtures`."""

from grading_fixtures import grade

__all__ = ["grade"]
