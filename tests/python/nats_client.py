"""A plain NATS client that knows nothing of Lowland: jobs in JSON and MessagePack, and everything that can be wrong."""

import asyncio
import json
import random

import msgpack

from scene import ACCOUNT, EMBEDDER, WRITER, Heard, bus, done, new_id, report

GOOD = {"model": WRITER, "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0}


async def post(nc, job, payload, **settings):
    await nc.publish(f"lowland.request.{ACCOUNT}.{job}.posted", payload, **settings)


async def completes(nc, heard, payload):
    """Posts a job; gives its output after checking its chain, its tokens and its charge."""
    job = new_id()
    await post(nc, job, payload)
    name, ended = await heard.event(job, "completed", "rejected", "failed", "cancelled", "expired")
    assert name == "completed", (name, ended)
    charge = await heard.charge(job)
    assert [name for name, _ in heard.of("job", job)] == ["submitted", "assigned", "started", "completed"]
    pieces = heard.of("token", job)
    assert "".join(piece["text"] for _, piece in pieces) == ended["output"].get("text", "")
    tokens = [token for _, piece in pieces for token in piece["tokens"]]
    assert tokens == ended["output"].get("tokens", []), "each token once, in order"
    assert {line["meter"]: line["quantity"] for line in charge["lines"]} == ended["usage"]
    return ended


async def good_ones(nc, heard):
    by_json = await completes(nc, heard, json.dumps(GOOD).encode())
    by_msgpack = await completes(nc, heard, msgpack.packb(GOOD))
    assert by_json["output"]["text"] == by_msgpack["output"]["text"] != ""
    assert by_json["usage"]["output_tokens"] == 8
    spaced = await completes(nc, heard, b"\n\t " + json.dumps(GOOD, indent=2).encode())
    assert spaced["output"] == by_json["output"]
    vectors = await completes(nc, heard, json.dumps({"model": EMBEDDER, "input": ["a", "b"]}).encode())
    assert [len(vector) for vector in vectors["output"]["vectors"]] == [4 * 384, 4 * 384]
    done("good jobs in JSON and MessagePack, with live events and tokens")


def without(field):
    return {key: value for key, value in GOOD.items() if key != field}


# What is wrong, the problem's code, its field (None: any), and what the message must say.
MISTAKES = [
    ({**GOOD, "model": "no-such-model"}, "unknown_model", "model", [WRITER, EMBEDDER]),
    (without("model"), "invalid_request", None, ["model"]),
    (without("prompt"), "invalid_request", None, ["messages", "prompt", "input"]),
    ({**GOOD, "input": "both"}, "invalid_request", None, ["exactly one"]),
    ({**GOOD, "temprature": 1}, "invalid_request", "temprature", ["temperature"]),
    ({**GOOD, "temperature": "hot"}, "invalid_request", "temperature", ["hot"]),
    ({**GOOD, "temperature": 3}, "invalid_request", "temperature", ["0 to 2"]),
    ({**GOOD, "max_tokens": -1}, "invalid_request", "max_tokens", []),
    ({**GOOD, "max_tokens": 0}, "invalid_request", "max_tokens", ["1 or more"]),
    ({**GOOD, "prompt": 7}, "invalid_request", "prompt", ["string"]),
    ({**GOOD, "stop": [1]}, "invalid_request", "stop", ["list of strings"]),
    ({**GOOD, "regions": ["no spaces"]}, "invalid_request", "regions[0]", ["A-Z"]),
    ({**GOOD, "deadline_ms": 10**12}, "invalid_request", "deadline_ms", ["24 hours"]),
    ({**without("prompt"), "messages": "hi"}, "invalid_request", "messages", ["sequence"]),
    ({**without("prompt"), "messages": [{"role": "user"}]}, "invalid_request", "messages[0]", ["content"]),
    ({**without("prompt"), "messages": [{"role": "user", "content": "x", "name": "y"}]}, "invalid_request",
     "messages[0].name", ["role"]),
    ({**GOOD, "prompt": "x" * 600_000}, "too_long", "prompt", ["600000", "at most"]),
    ({"model": WRITER, "input": "x"}, "wrong_task", "input", [WRITER]),
    ({"model": EMBEDDER, "prompt": "x"}, "wrong_task", "prompt", [EMBEDDER]),
    ({"model": EMBEDDER, "input": [""]}, "invalid_request", "input[0]", ["empty"]),
]


async def rejected(heard, job):
    name, ended = await heard.event(job, "rejected", "submitted")
    assert name == "rejected", (name, ended)
    return ended["problem"]


async def mistakes(nc, heard):
    encodings = (lambda body: json.dumps(body).encode(), msgpack.packb)
    for body, code, field, parts in MISTAKES:
        for encode in encodings:
            job = new_id("bad")
            await post(nc, job, encode(body))
            problem = await rejected(heard, job)
            shown = ({k: str(v)[:40] for k, v in body.items()}, problem)
            assert problem["code"] == code, shown
            assert field is None or problem.get("field") == field, shown
            assert all(part in problem["message"] for part in parts), shown
    done(f"{len(MISTAKES)} mistakes, each in both encodings")


def noise(most):
    """Bytes that are no request: kinds times sizes."""
    chance = random.Random(20)
    good_json, good_msgpack = json.dumps(GOOD).encode(), msgpack.packb(GOOD)
    yield from (b"", b"\x00", b"{", b"}", b"[]", b"null", b'"x"', b"{}", b"\x80", b"\xc1", b"\xff\xfe", b"\x1f\x8b")
    yield from (good_json + b"tail", good_json[:-1], good_msgpack[:-1], good_json.replace(b'"', b"'"))
    yield json.dumps({**GOOD, "temperature": float("nan")}).encode()
    yield good_json.replace(b"Once", b"\xff\xff\xff")
    yield b'{"model":' * 10_000
    yield b"\x81\xa5model" + b"\x91" * 100_000
    yield b"\xdf\xff\xff\xff\xff"
    yield b"\x81\xa5model\xdb\xff\xff\xff\xff"
    for size in (1, 10, 1000, 100_000, 1_000_000, most):
        yield chance.randbytes(size)
        yield b"{" + chance.randbytes(size - 1)
        yield b"\x80" * size
        yield b" " * size
        yield b"a" * size


async def noises(nc, heard):
    asked = []
    for payload in noise(nc.max_payload):
        job = new_id("noise")
        await post(nc, job, payload)
        await nc.flush(timeout=60)
        asked.append((job, payload))
    for job, payload in asked:
        problem = await rejected(heard, job)
        assert problem["code"] in ("invalid_request", "too_long"), (payload[:40], problem)
        assert problem["message"] and len(problem["message"]) < 4000, (payload[:40], problem)
    done(f"{len(asked)} kinds and sizes of noise, up to {nc.max_payload} bytes")


async def headers_lie(nc, heard):
    good = msgpack.packb(GOOD)
    for headers in (
        {"Content-Type": "application/json", "Nats-Msg-Id": new_id()},
        {"ce-id": "no-uuid", "ce-time": "never", "ce-source": "billing/1"},
        {"lowland-correlation": "someone-else", "traceparent": "00-zz"},
    ):
        job = new_id("lie")
        await post(nc, job, good, headers=headers)
        assert (await heard.event(job, "completed", "rejected"))[0] == "completed", headers
    job = new_id("lie")
    await post(nc, job, good, headers={"ce-type": "lowland.request.posted.v9"})
    assert (await rejected(heard, job))["code"] == "invalid_request"
    done("headers that lie")


async def used_id(nc, heard):
    job = new_id()
    await post(nc, job, json.dumps(GOOD).encode())
    await heard.event(job, "completed")
    again = {**GOOD, "prompt": "Something else"}
    for payload in (json.dumps(again).encode(), json.dumps(GOOD).encode(), b"noise"):
        before = len(heard.of("request", job))
        await post(nc, job, payload)
        await heard.until(f"the answer to {job}", lambda: len(heard.of("request", job)) > before)
        name, answer = heard.of("request", job)[-1]
        assert name == "rejected" and answer["problem"]["code"] == "id_used", answer
        assert answer["request_sequence"] > 0
    assert [name for name, _ in heard.of("job", job)][-1] == "completed", "the job itself is untouched"
    done("an id used before")


async def main():
    nc = await bus()
    heard = await Heard.by(nc)
    await good_ones(nc, heard)
    await mistakes(nc, heard)
    await headers_lie(nc, heard)
    await noises(nc, heard)
    await used_id(nc, heard)
    after = await completes(nc, heard, json.dumps(GOOD).encode())
    assert after["usage"]["output_tokens"] == 8
    done("a good job afterwards")
    await nc.close()


asyncio.run(main())
report()
