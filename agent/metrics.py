"""Figures as Prometheus reads them, served on loopback only: they name tenants and agents.

https://prometheus.io/docs/instrumenting/exposition_formats/ says how the text looks. Knows nothing of what is counted.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from agent.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

LOOPBACK: Final = "127.0.0.1"

_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric and its samples: labels, and the value."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: Sequence[tuple[tuple[tuple[str, str], ...], float]]


def render(figures: Iterable[Figure]) -> str:
    """Return the figures as text."""
    return "".join(line for figure in figures for line in _lines(figure))


def _lines(figure: Figure) -> Iterable[str]:
    yield f"# HELP {figure.name} {figure.help}\n# TYPE {figure.name} {figure.kind}\n"
    for labels, value in figure.samples:
        inside = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels)
        yield f"{figure.name}{{{inside}}} {value:g}\n" if inside else f"{figure.name} {value:g}\n"


@asynccontextmanager
async def served(port: int | None, figures: Callable[[], Iterable[Figure]], key: str) -> AsyncIterator[None]:
    """Serve /metrics on loopback while the block runs; nothing where no port is given.

    Raises Unavailable that names the key of the configuration where the port cannot be opened.
    """
    if port is None:
        yield
        return
    from aiohttp import web  # noqa: PLC0415 - the agent needs a server for this only

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path != "/metrics":
            return web.Response(status=404)
        return web.Response(body=render(figures()).encode(), headers={"Content-Type": _CONTENT_TYPE})

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError as failure:
            raise Unavailable(f"{key}: {LOOPBACK}:{port} cannot be opened ({failure.strerror}).") from failure
        yield
    finally:
        await runner.cleanup()
