"""What runs in a submission's kernel first, sent there as text.

It lowers the kernel's limits, and remembers what the assignment itself has
defined, so that a test meets its own helpers and not a student's of that name.
"""

import contextlib

_kept: dict[str, object] = {}


def limit(memory, file, seconds):
    """Bound what this process may use: bytes, bytes of a file, CPU seconds."""
    try:
        import resource
    except ImportError:  # Windows has none
        return
    bounds = {"RLIMIT_DATA": memory, "RLIMIT_FSIZE": file, "RLIMIT_CPU": seconds}
    for name, most in {**bounds, "RLIMIT_CORE": 0}.items():
        with contextlib.suppress(AttributeError, OSError, ValueError):
            which = getattr(resource, name)
            hard = resource.getrlimit(which)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(which, (most, most))


def keep(names):
    """Remember what some names stand for now."""
    space = get_ipython().user_ns  # noqa: F821  (a kernel has it)
    _kept.update({name: space[name] for name in names if name in space})


def restore():
    """Let these names stand for what they stood for."""
    get_ipython().user_ns.update(_kept)  # noqa: F821


def forget():
    """Begin anew, with an empty notebook."""
    _kept.clear()
    get_ipython().reset(new_session=False)  # noqa: F821
