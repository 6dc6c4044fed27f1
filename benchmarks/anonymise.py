"""The workload of anonymisation: one job over everything that was stored, from the request to its answer."""

from __future__ import annotations

import http.client
import json
import time

from benchmarks.datasets import InstanceSet
from benchmarks.servers import Server, ServerFailed

_LIMIT = 300.0  # seconds
_PATH = "/tools/bulk-anonymize"


def rate(server: Server, instances: InstanceSet) -> float:
    """Instances a second of one synchronous job that anonymises all studies of `instances`.

    Raises ServerFailed if it is refused, broken off, or leaves an instance out.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=_LIMIT)
    try:
        started = time.monotonic()
        connection.request("POST", _PATH, json.dumps({"Resources": instances.study_ids()}))
        answer = connection.getresponse()
        body = answer.read()
        taken = time.monotonic() - started
    except (http.client.HTTPException, OSError) as error:
        raise ServerFailed(f"{_PATH} broke off: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise ServerFailed(f"{_PATH} answered {answer.status}")
    made = {each["ID"] for each in json.loads(body)["Resources"] if each["Type"] == "Instance"}
    if len(made) != instances.count:
        raise ServerFailed(f"{_PATH} made {len(made)} instances of {instances.count}")
    return instances.count / taken
