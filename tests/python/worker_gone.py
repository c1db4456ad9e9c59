"""The worker goes in the middle of a stream: another takes over, and the caller sees one unbroken text.

`killed`: kill -9. `frozen`: it is stopped without dying, taken for lost, and wakes up when its job is long done.
"""

import asyncio
import os
import signal
import sys
import time

from scene import ACCOUNT, WRITER, Heard, api, bus, done, pids, report, until_ready

HOW = {"killed": signal.SIGKILL, "frozen": signal.SIGSTOP}[sys.argv[1]]
ASK = {"model": WRITER, "prompt": "Once upon a time there was", "max_tokens": 240, "temperature": 0}
# Pieces after which the worker goes: the text has begun and is far from done.
GONE_AFTER = 20


def text_of(pieces):
    return "".join(piece.choices[0].text for piece in pieces if piece.choices)


def counts(usage):
    """What does not depend on which worker has seen the prompt before."""
    return usage.prompt_tokens, usage.completion_tokens


def uninterrupted():
    answer = api().completions.create(**ASK)
    assert answer.usage.completion_tokens == ASK["max_tokens"], "the text is long enough to be cut"
    return answer


class Cut:
    """A stream whose worker goes after some pieces."""

    def __init__(self, heard, loop):
        self.pieces, self.worker, self.pid, self.longest_pause = [], None, None, 0.0
        last = time.monotonic()
        for piece in api().completions.create(**ASK, stream=True, stream_options={"include_usage": True}):
            now = time.monotonic()
            self.longest_pause, last = max(self.longest_pause, now - last), now
            self.pieces.append(piece)
            if len(self.pieces) == GONE_AFTER:
                assigned = heard.event(self.job(), "assigned")
                self.worker = asyncio.run_coroutine_threadsafe(assigned, loop).result()[1]["worker"]
                self.pid = pids()[f"worker-{self.worker}"]
                os.kill(self.pid, HOW)

    def job(self):
        return self.pieces[0].id.removeprefix("cmpl-")


def chain(heard, cut, whole):
    """The job's events: two attempts by two workers, one text."""
    events = heard.of("job", cut.job())
    names = [name for name, _ in events]
    assert names == [
        "submitted", "assigned", "started", "attempt_failed", "assigned", "started", "completed"
    ], names
    failed, again, resumed, completed = (body for _, body in events[3:])
    assert failed["problem"]["code"] == "worker_lost" and failed["retry"], failed
    assert again["attempt"] == 2 and again["worker"] != cut.worker, again
    assert resumed["resumed_tokens"] > 0, "it continues from what was published"
    assert completed["output"]["text"] == whole.choices[0].text
    return completed


async def main():
    nc = await bus()
    heard = await Heard.by(nc)
    whole = await asyncio.to_thread(uninterrupted)
    cut = await asyncio.to_thread(Cut, heard, asyncio.get_running_loop())
    assert cut.worker, "the stream ended before the worker went"
    assert text_of(cut.pieces) == whole.choices[0].text, (text_of(cut.pieces), whole.choices[0].text)
    assert [p.choices[0].finish_reason for p in cut.pieces if p.choices][-1] == "length"
    assert counts(cut.pieces[-1].usage) == counts(whole.usage), (cut.pieces[-1].usage, whole.usage)
    done(f"one unbroken text, as an unharmed worker writes it; longest pause {cut.longest_pause:.1f} s")

    charge = await heard.charge(cut.job())
    completed = chain(heard, cut, whole)
    assert {line["meter"]: line["quantity"] for line in charge["lines"]} == completed["usage"]
    done("reassigned, continued, charged")

    if HOW == signal.SIGSTOP:
        os.kill(cut.pid, signal.SIGCONT)
    await asyncio.to_thread(until_ready, f"worker-{cut.worker}")
    again = await asyncio.gather(*(asyncio.to_thread(uninterrupted) for _ in range(3)))
    assert {answer.choices[0].text for answer in again} == {whole.choices[0].text}
    assert len(heard.of("job", cut.job())) == 7, "nobody goes on with the job"
    done("the worker is back, and jobs go on")
    await nc.close()
    report(jobs=[cut.job()] + [answer.id.removeprefix("cmpl-") for answer in again], account=ACCOUNT)


asyncio.run(main())
