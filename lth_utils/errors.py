"""The one kind of error this library raises on purpose: a sentence."""

from collections.abc import Iterable
from difflib import get_close_matches


class LotteryError(ValueError):
    """Says in a sentence what was wrong, what was expected, and what to do."""


def choose(kind: str, word: str, allowed: Iterable[str]) -> str:
    """Return `word` if it is one of `allowed`.

    Args:
        kind: What the word names, for the message ("data set").
        word: What the user said.
        allowed: The words that would have been right.

    Raises:
        LotteryError: If it is not one of them; names the nearest one.
    """
    words = tuple(allowed)
    if word in words:
        return word
    raise unknown(kind, word, words)


def unknown(
    kind: str, word: str, words: tuple[str, ...], further: str = ""
) -> LotteryError:
    """Return the error that says which words there are, and names the nearest.

    Args:
        kind: What the word names.
        word: What the user said.
        words: The words that would have been right.
        further: Words that are right besides, described.
    """
    near = get_close_matches(str(word), words, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listed = ", ".join((*words, further)) if further else ", ".join(words)
    return LotteryError(f"Unknown {kind} {word!r}: expected one of {listed}.{hint}")
