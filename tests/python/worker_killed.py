"""kill -9 of the worker in the middle of a stream: another takes over, and the caller sees one unbroken text."""

import asyncio

from scene import ACCOUNT, WRITER, Heard, api, bus, done, kill, report, until_ready

ASK = {"model": WRITER, "prompt": "Once upon a time there was", "max_tokens": 240, "temperature": 0}
# Pieces after which the worker is killed: the text has begun and is far from done.
KILL_AFTER = 20


def text_of(pieces):
    return "".join(piece.choices[0].text for piece in pieces if piece.choices)


def uninterrupted():
    answer = api().completions.create(**ASK)
    assert answer.usage.completion_tokens == ASK["max_tokens"], "the text is long enough to be cut"
    return answer


def interrupted(heard, loop):
    """Streams, and kills the worker that writes; gives the pieces and who it was."""
    pieces, victim = [], None
    stream = api().completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    for piece in stream:
        pieces.append(piece)
        if len(pieces) == KILL_AFTER:
            job = piece.id.removeprefix("cmpl-")
            assigned = asyncio.run_coroutine_threadsafe(heard.event(job, "assigned"), loop).result()[1]
            victim = assigned["worker"]
            kill(f"worker-{victim}")
    return pieces, victim


async def main():
    nc = await bus()
    heard = await Heard.by(nc)
    whole = await asyncio.to_thread(uninterrupted)
    pieces, victim = await asyncio.to_thread(interrupted, heard, asyncio.get_running_loop())
    assert victim, "the stream ended before the worker was killed"
    assert text_of(pieces) == whole.choices[0].text, (text_of(pieces), whole.choices[0].text)
    assert [p.choices[0].finish_reason for p in pieces if p.choices][-1] == "length"
    assert pieces[-1].usage == whole.usage, (pieces[-1].usage, whole.usage)
    done("the text is unbroken, and the one that an unharmed worker writes")

    job = pieces[0].id.removeprefix("cmpl-")
    charge = await heard.charge(job)
    events = heard.of("job", job)
    names = [name for name, _ in events]
    assert names == [
        "submitted", "held", "assigned", "started", "attempt_failed", "assigned", "started", "completed"
    ], names
    failed, again, resumed = events[4][1], events[5][1], events[6][1]
    assert failed["problem"]["code"] == "worker_lost" and failed["retry"], failed
    assert again["attempt"] == 2 and again["worker"] != victim, again
    assert resumed["resumed_tokens"] > 0, "it continues from what was published"
    assert events[-1][1]["output"]["text"] == whole.choices[0].text
    assert {line["meter"]: line["quantity"] for line in charge["lines"]} == events[-1][1]["usage"]
    done("reassigned, continued, charged")
    await nc.close()
    await asyncio.to_thread(until_ready, f"worker-{victim}")
    done("the worker is back")
    report(jobs=[job], account=ACCOUNT)


asyncio.run(main())
