"""Keyed values: their key, their quota, and having them made."""

from __future__ import annotations

from aiohttp import web

from node.api.call import Call
from node.api.duplicates_shapes import EvaluateBody, ValuePath
from node.api.shapes import Nothing


async def show(call: Call[Nothing, Nothing, None]) -> web.Response:
    return call.send({"as_of": call.as_of, "data": call.backend.duplicates()}, cacheable=False)


async def holder(call: Call[ValuePath, Nothing, None]) -> web.Response:
    return call.record(call.backend.value_holder(call.path.kind, bytes.fromhex(call.path.value)))


async def evaluate(call: Call[Nothing, Nothing, EvaluateBody]) -> web.Response:
    made = await call.backend.make_values(call.body)
    return call.send({"as_of": call.as_of, "data": made}, cacheable=False)
