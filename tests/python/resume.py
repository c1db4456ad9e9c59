"""A client whose connection breaks again and again takes its stream up where it was: no token twice, none lost."""

import json
import time

from scene import ACCOUNT, WRITER, api, done, report, request, sse

ASK = {"model": WRITER, "prompt": "The ship left the harbour and", "max_tokens": 120, "temperature": 0}
# Events that are read of each connection before it breaks.
EVENTS_EACH = 7


def some(response, most):
    """At most so many events, then the connection breaks: their text, the last id, whether that was all."""
    text, last = "", None
    with response:
        for count, (event_id, data) in enumerate(sse(response)):
            if data == "[DONE]":
                return text, last, True
            chunk = json.loads(data)
            assert "error" not in chunk, chunk
            text += "".join(choice["text"] for choice in chunk["choices"])
            last = event_id or last
            if count + 1 == most:
                return text, last, False
    return text, last, False


def broken_again_and_again():
    response = request("/v1/completions", {**ASK, "stream": True}, **{"X-Lowland-Resumable": "true"})
    job = response.headers["x-lowland-job"]
    text, last, finished = some(response, EVENTS_EACH)
    connections = 1
    while not finished:
        assert connections < 200, "it goes on for ever"
        response = request(f"/v1/jobs/{job}/stream", **{"Last-Event-ID": last})
        more, seen, finished = some(response, EVENTS_EACH)
        text, last, connections = text + more, seen or last, connections + 1
    assert connections > 3, "the connection was to break several times"
    return job, text, connections


whole = api().completions.create(**ASK).choices[0].text
job, text, connections = broken_again_and_again()
assert text == whole, (text, whole)
done(f"{connections} connections, one text")

# After the end, from the beginning, and by one who has everything.
time.sleep(1)
text, last, finished = some(request(f"/v1/jobs/{job}/stream"), 10**6)
assert finished and text == whole
text, _, finished = some(request(f"/v1/jobs/{job}/stream", **{"Last-Event-ID": last}), 10**6)
assert finished and text == "", text
done("and afterwards")
report(jobs=[job], account=ACCOUNT)
