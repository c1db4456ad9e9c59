"""kill -9 of scheduler, billing, gateway or the NATS server (the argument) under a running job: the job completes."""

import http.client
import json
import sys
import time

from scene import ACCOUNT, PATIENCE, UP, WRITER, api, done, kill, pids, report, request, sse, until_ready

VICTIM = sys.argv[1]
ASK = {"model": WRITER, "prompt": "The ship left the harbour and", "max_tokens": 160, "temperature": 0}
# Events of a stream after which the victim is killed.
KILL_AFTER = 15


class Stream:
    """Server-sent events, read by hand, so that a broken connection can be taken up again where it broke."""

    def __init__(self):
        self.text, self.last_id, self.events, self.finished, self.killed = "", None, 0, False, False

    def read(self, response):
        """Takes in what comes, until the end or until the connection breaks."""
        try:
            for event_id, data in sse(response):
                self.take(data, event_id)
        except (OSError, ValueError, http.client.HTTPException):
            pass

    def take(self, data, event_id):
        if data == "[DONE]":
            self.finished = True
            return
        chunk = json.loads(data)
        assert "error" not in chunk, chunk
        self.text += "".join(choice.get("text") or "" for choice in chunk.get("choices", []))
        self.last_id = event_id or self.last_id
        self.events += 1
        if self.events == KILL_AFTER and not self.killed:
            self.killed = True
            self.cut = len(self.text)
            self.pid = kill(VICTIM)

    def resume(self, job):
        """Comes back until the text is whole."""
        deadline = time.monotonic() + PATIENCE
        while not self.finished:
            assert time.monotonic() < deadline, f"the stream of {job} could not be taken up again"
            time.sleep(0.2)
            try:
                self.read(request(f"/v1/jobs/{job}/stream", **{"Last-Event-ID": self.last_id}))
            except OSError:
                continue


def replaced(pid):
    """Waits until another process has taken the killed one's place."""
    deadline = time.monotonic() + PATIENCE
    while pids().get(VICTIM, pid) == pid:
        assert time.monotonic() < deadline, f"{VICTIM} was not started again"
        time.sleep(0.1)
    until_ready(VICTIM)


whole = api().completions.create(**ASK)
stream = Stream()
response = request("/v1/completions", {**ASK, "stream": True}, **{"X-Lowland-Resumable": "true"})
job = response.headers["x-lowland-job"]
stream.read(response)
assert stream.killed, "the stream ended before anything was killed"
stream.resume(job)
assert stream.cut < len(stream.text), "the job was over before anything was killed"
assert stream.text == whole.choices[0].text, (stream.text, whole.choices[0].text)
done(f"{VICTIM} killed in mid-stream: the text is whole")

replaced(stream.pid)
until_ready(*UP["health"])
again = api(max_retries=5).completions.create(**ASK)
assert again.choices[0].text == whole.choices[0].text
done(f"{VICTIM} was started again, and jobs go on")
report(jobs=[job, again.id.removeprefix("cmpl-")], account=ACCOUNT)
