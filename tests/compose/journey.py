"""Jobs through the containers, by ordinary clients from outside: HTTP, bare NATS, and one whose worker's container is
killed while it writes. Each is charged once. Prints what to look for after a restart, as one line of JSON."""

import asyncio
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))
from scene import ACCOUNT, WRITER, Heard, api, bus, done, new_id  # noqa: E402

# Pieces after which the worker goes: the text has begun and is far from done.
GONE_AFTER = 20
LONG = {"model": WRITER, "prompt": "Once upon a time there was", "max_tokens": 200, "temperature": 0}


def docker(*arguments):
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def container_of(worker):
    """The container that says it is this worker."""
    for container in docker("ps", "-q", "--filter", "label=com.docker.compose.service=worker").split():
        said = subprocess.run(["docker", "logs", container], capture_output=True, text=True).stderr
        names = [line.split()[-1] for line in said.splitlines() if line.startswith("this worker is ")]
        if names and names[-1] == worker:
            return container
    raise AssertionError(f"no container says that it is {worker}")


async def charged_once(heard, job):
    """The job's charge, when its money is settled; there is no other."""
    def settled():
        mine = [(name, body) for name, body in heard.of("account", ACCOUNT) if body.get("job") == job]
        return mine if any(name in ("charged", "hold_released") for name, _ in mine) else None
    settled = await heard.until(f"the money of {job}", settled)
    names = [name for name, _ in settled]
    assert names.count("charged") == 1, f"{job} was charged {names.count('charged')} times: {names}"
    return next(body for name, body in settled if name == "charged")


async def by_http(heard):
    answer = await asyncio.to_thread(
        api().chat.completions.create, model=WRITER, max_tokens=16,
        messages=[{"role": "user", "content": "Name a river."}],
    )
    assert answer.usage.completion_tokens > 0 and answer.choices[0].message.content, answer
    job = answer.id.removeprefix("chatcmpl-")
    charge = await charged_once(heard, job)
    done(f"by HTTP: {answer.choices[0].message.content!r}, {charge['amount']} micro-units")
    return job


async def by_nats(nc, heard):
    job = new_id("bare")
    request = {"model": WRITER, "prompt": "The sea", "max_tokens": 12}
    await nc.publish(f"lowland.request.{ACCOUNT}.{job}.posted", json.dumps(request).encode())
    name, body = await heard.event(job, "completed", "rejected", "failed", "expired")
    assert name == "completed" and body["output"]["text"], (name, body)
    charge = await charged_once(heard, job)
    done(f"by bare NATS: {body['output']['text']!r}, {charge['amount']} micro-units")
    return job


def whole_text():
    answer = api().completions.create(**LONG)
    assert answer.usage.completion_tokens == LONG["max_tokens"], "the text is long enough to be cut"
    return answer.choices[0].text


def cut_stream(heard, loop):
    """A stream whose worker's container is killed after some pieces: its text, its job, the worker."""
    text, job, worker = "", None, None
    for number, piece in enumerate(api().completions.create(**LONG, stream=True)):
        job = job or piece.id.removeprefix("cmpl-")
        text += "".join(choice.text for choice in piece.choices)
        if number == GONE_AFTER:
            assigned = asyncio.run_coroutine_threadsafe(heard.event(job, "assigned"), loop)
            worker = assigned.result()[1]["worker"]
            docker("kill", "--signal", "KILL", container_of(worker))
    assert worker, "the stream ended before its worker went"
    return text, job, worker


async def worker_killed(heard):
    whole = await asyncio.to_thread(whole_text)
    text, job, worker = await asyncio.to_thread(cut_stream, heard, asyncio.get_running_loop())
    assert text == whole, (text, whole)
    await heard.event(job, "completed")
    names = [name for name, _ in heard.of("job", job)]
    expected = ["submitted", "assigned", "started", "attempt_failed", "assigned", "started", "completed"]
    assert names == expected, names
    resumed = [body for name, body in heard.of("job", job) if name == "started"][1]
    assert resumed["resumed_tokens"] > 0, "the other worker goes on from what was published"
    charge = await charged_once(heard, job)
    done(f"{worker}'s container killed in mid-stream: the text is unbroken, {charge['amount']} micro-units, once")
    return job


async def main():
    nc = await bus()
    heard = await Heard.by(nc)
    jobs = [await by_http(heard), await by_nats(nc, heard)]
    if "--kill" in sys.argv:
        jobs.append(await worker_killed(heard))
    await nc.close()
    print(json.dumps({"jobs": jobs}))


asyncio.run(main())
