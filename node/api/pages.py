"""The OpenAPI document and a page for people. One static page: nothing is loaded from anywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from aiohttp import web

from node.api.call import Call
from node.api.openapi import TITLES, problems_of, rendered
from node.api.problems import CATALOGUE
from node.api.routes import Route
from node.api.shapes import Nothing

_STYLE = """
:root{color-scheme:light dark;--line:light-dark(#ccc,#444);--soft:light-dark(#555,#aaa)}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font:0.9em ui-monospace,monospace}section{border-top:1px solid var(--line);padding:.5rem 0}
h3{margin:.5rem 0}p{margin:.3rem 0}.soft{color:var(--soft)}table{border-collapse:collapse}
th,td{text-align:left;border-bottom:1px solid var(--line);padding:.2rem .8rem .2rem 0;vertical-align:top}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(routes: Sequence[Route]) -> bytes:
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Commonweal API</title>",
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>",
        "<h1>Commonweal node: HTTP API</h1>",
        "<p>Machine-readable: <a href='/openapi.json'><code>/openapi.json</code></a>. Money is a decimal string, "
        "bytes are hex, times are UTC milliseconds. Every answer names the block it was read from.",
    ]
    for tag, text in TITLES.items():
        parts.append(f"<h2>{escape(tag.capitalize())}</h2><p class=soft>{escape(text)}")
        parts.extend(_section(route) for route in routes if route.tag == tag)
    parts.append("<h2>Problems</h2><table><tr><th>Code<th>Status<th>Meaning<th>What to do")
    for kind in CATALOGUE:
        parts.append(
            f"<tr><td><code>{kind.code}</code><td>{kind.status}<td>{escape(kind.title)}<td>{escape(kind.hint)}"
        )
    parts.append("</table></html>")
    return "\n".join(parts).encode()


def _section(route: Route) -> str:
    codes = " ".join(kind.code for kind in problems_of(route))
    text = f"<p>{escape(route.description)}" if route.description else ""
    return (
        f"<section id='{escape(route.name)}'><h3><code>{route.method} {escape(route.path)}</code></h3>"
        f"<p>{escape(route.summary)}.{text}<p class=soft>Problems: <code>{codes}</code></section>"
    )


async def openapi_document(call: Call[Nothing, Nothing, None]) -> web.Response:
    cache = call.api.pages
    if "openapi" not in cache:
        cache["openapi"] = rendered(call.api.routes)
    return web.Response(body=cache["openapi"], content_type="application/json")


async def docs_page(call: Call[Nothing, Nothing, None]) -> web.Response:
    cache = call.api.pages
    if "docs" not in cache:
        cache["docs"] = page(call.api.routes)
    headers = {"Content-Security-Policy": _POLICY}
    return web.Response(body=cache["docs"], content_type="text/html", charset="utf-8", headers=headers)
