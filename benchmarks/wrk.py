"""GET rates by wrk, one thread and eight keep-alive connections.

The requests go round many resources rather than to one, so that a server which remembers its last answer is
not measured by that memory.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.servers import Server
from benchmarks.storescu import SendFailed

_SCRIPT = """
local headers = {{ {headers} }}
local requests = {{}}
for path in io.lines("{paths}") do requests[#requests + 1] = wrk.format("GET", path, headers) end
local next_request = 0
request = function()
  next_request = next_request % #requests + 1
  return requests[next_request]
end
"""


_LIMIT = 60  # seconds for one answer


def rate(
    server: Server,
    paths: Sequence[str],
    *,
    seconds: int,
    scratch: Path,
    headers: Mapping[str, str] | None = None,
) -> float:
    """Answers a second to GETs that go round ``paths``; ``scratch`` is a folder for the script.

    Raises:
        SendFailed: wrk failed, or an answer was not a success.
    """
    listed = scratch / "wrk-paths.txt"
    listed.write_text("".join(f"{path}\n" for path in paths))
    script = scratch / "wrk.lua"
    # wrk itself adds Host only after the script has made its requests.
    named = {"Host": f"127.0.0.1:{server.http_port}", **(headers or {})}
    sent = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in named.items())
    script.write_text(_SCRIPT.format(paths=listed, headers=sent))
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "-s", str(script)]
    command += ["--timeout", f"{_LIMIT}s", server.url("/")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + _LIMIT, check=False)
    except subprocess.TimeoutExpired as error:
        raise SendFailed("wrk did not end") from error
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    failed = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", done.stdout)
    if done.returncode != 0 or found is None or failed is not None:
        raise SendFailed(f"wrk: {failed.group() if failed else (done.stderr or done.stdout).strip()[-300:]}")
    return float(found.group(1))
