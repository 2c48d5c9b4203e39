"""One small HTTP question to a node on this machine, with the standard library: the commands that only look
at processes start faster without an HTTP framework."""

from __future__ import annotations

import http.client
import json
from typing import Any, Final

_MAX_ANSWER: Final = 4 * 1024 * 1024


def ask(
    port: int, path: str, *, method: str = "GET", body: dict[str, Any] | None = None, timeout_s: float = 2.0
) -> tuple[int, dict[str, Any]]:
    """(HTTP status, JSON object). Raises OSError if the node does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        payload = None if body is None else json.dumps(body)
        headers = {} if payload is None else {"Content-Type": "application/json"}
        connection.request(method, path, payload, headers)
        answer = connection.getresponse()
        document = json.loads(answer.read(_MAX_ANSWER) or b"{}")
        return answer.status, document if isinstance(document, dict) else {}
    except (http.client.HTTPException, ValueError) as error:
        raise ConnectionError(f"no usable answer from port {port}: {error}") from None
    finally:
        connection.close()
