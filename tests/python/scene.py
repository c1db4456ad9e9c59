"""What every script here needs: where the system under test is, clients for it, and waiting with a bound."""

import asyncio
import json
import os
import pathlib
import signal
import sys
import time
import urllib.request
import uuid

import msgpack
import nats
import openai

UP = json.loads(os.environ["LOWLAND_UP"])
WRITER = "smollm2-135m-instruct"
EMBEDDER = "all-minilm-l6-v2"
ACCOUNT = UP["nats_user"]

# Longest wait for anything, in seconds: generous, since the machine may be busy.
PATIENCE = 120.0


def done(what):
    """Says that a step is done; the suite shows these when a later one fails."""
    print(f"ok: {what}", flush=True)


def api(**settings):
    """The official client, pointed at the gateway."""
    settings = {"api_key": UP["api_key"], "max_retries": 0, "timeout": PATIENCE, **settings}
    return openai.OpenAI(base_url=UP["gateway_url"] + "/v1", **settings)


def request(path, body=None, **headers):
    """HTTP by hand, where the official client would hide what is looked at."""
    headers = {"Authorization": f"Bearer {UP['api_key']}", "Content-Type": "application/json", **headers}
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(UP["gateway_url"] + path, data=data, headers=headers)
    return urllib.request.urlopen(asked, timeout=PATIENCE)


def sse(response):
    """Server-sent events: id and data of each."""
    event_id = None
    for line in response:
        line = line.decode().rstrip("\r\n")
        if line.startswith("id:"):
            event_id = line[3:].strip()
        elif line.startswith("data:"):
            yield event_id, line[5:].strip()


def raises(kind, call, *parts):
    """`call` fails with `kind`, saying all of `parts`; gives the error."""
    try:
        result = call()
    except kind as error:
        said = str(error)
        missing = [part for part in parts if part not in said]
        assert not missing, f"{said!r} does not say {missing}"
        return error
    raise AssertionError(f"no {kind.__name__}, but {result!r}")


async def raises_async(kind, call):
    """What `call` awaits fails with `kind`."""
    try:
        result = await call
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}, but {result!r}")


async def bus():
    """A plain NATS client with the tenant's password."""
    return await nats.connect(
        UP["nats_url"],
        user=UP["nats_user"],
        password=UP["nats_password"],
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,
        connect_timeout=10,
    )


def body(message):
    """What a message says: MessagePack, as Lowland writes, or JSON."""
    return json.loads(message.data) if message.data[:1] in b"{" else msgpack.unpackb(message.data)


class Heard:
    """Everything of the tenant's own account, as it happens."""

    def __init__(self):
        self.messages = []
        self.came = asyncio.Event()

    @classmethod
    async def by(cls, nc):
        heard = cls()
        for domain in ("job", "token", "account", "request"):
            await nc.subscribe(f"live.{domain}.{ACCOUNT}.>", cb=heard.take)
        await nc.flush()
        return heard

    async def take(self, message):
        self.messages.append(message)
        self.came.set()

    def of(self, domain, aggregate):
        """Events of one aggregate: name (or attempt) and body, in order."""
        head = f"live.{domain}.{ACCOUNT}.{aggregate}."
        mine = (m for m in self.messages if m.subject.startswith(head))
        return [(m.subject.split(".")[4], body(m)) for m in mine]

    async def until(self, what, found):
        """Waits until `found()` gives something, and gives that."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.came.clear()
            result = found()
            if result:
                return result
            left = deadline - time.monotonic()
            if left <= 0:
                subjects = [m.subject for m in self.messages]
                raise AssertionError(f"waited in vain for {what}; heard {subjects[-20:]}")
            try:
                await asyncio.wait_for(self.came.wait(), min(left, 1.0))
            except asyncio.TimeoutError:
                pass

    async def event(self, job, *names):
        """The first event of `job` called one of `names`: its name and body."""
        return await self.until(
            f"{job} {names}",
            lambda: next(((n, b) for n, b in self.of("job", job) if n in names), None),
        )

    async def charge(self, job):
        """The charge for `job`."""
        def found():
            return next((b for n, b in self.of("account", ACCOUNT) if n == "charged" and b["job"] == job), None)
        return await self.until(f"the charge for {job}", found)


def new_id(prefix="t"):
    return f"{prefix}-{uuid.uuid4().hex[:16]}"


def pids():
    """Process ids as of now; restarted processes have new ones."""
    return json.loads((pathlib.Path(UP["data"]) / "run" / "up.json").read_text())["pids"]


def kill(name):
    """kill -9 of one process of the system under test."""
    pid = pids()[name]
    os.kill(pid, signal.SIGKILL)
    return pid


def until_ready(*names):
    """Waits until these processes answer that they do their work."""
    deadline = time.monotonic() + PATIENCE
    for name in names:
        while True:
            try:
                if urllib.request.urlopen(UP["health"][name], timeout=5).status == 200:
                    break
            except OSError:
                pass
            assert time.monotonic() < deadline, f"{name} did not become ready"
            time.sleep(0.1)


def report(**facts):
    """The last line: what the suite goes on to check in the log."""
    print(json.dumps(facts), flush=True)
    sys.exit(0)
