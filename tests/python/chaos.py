"""Everything is killed in turn, workers and the NATS server included, under a crowd of jobs: each completes, whole."""

import asyncio
import json
import random
import time

from scene import ACCOUNT, PATIENCE, UP, WRITER, api, bus, done, kill, new_id, pids, report, request, until_ready

PROMPTS = ["Once upon a time", "The ship left the harbour and", "In the mountains", "My favourite food is"]
JOBS = 16
TOKENS = 60
# Seconds between kills; a process that has not come back by its turn is left alone.
PAUSE = 1.5
# A job may lose three attempts; so workers are killed once each, everything else twice.
SERVICE_KILLS = 2
ENDINGS = ("completed", "failed", "cancelled", "expired", "rejected")


def ask(prompt):
    return {"model": WRITER, "prompt": prompt, "max_tokens": TOKENS, "temperature": 0}


async def post(prompts):
    """Posts a job for each prompt and has each acknowledged by the stream: from there on none may be lost."""
    nc = await bus()
    jobs = {}
    for prompt in prompts:
        job = new_id("chaos")
        subject = f"lowland.request.{ACCOUNT}.{job}.posted"
        answer = json.loads((await nc.request(subject, json.dumps(ask(prompt)).encode(), timeout=30)).data)
        assert answer.get("stream") == "REQUESTS" and answer["seq"] > 0, answer
        jobs[job] = prompt
    await nc.close()
    return jobs


def havoc():
    """Kills every process, in an order by chance that is the same each time."""
    names = sorted(pids())
    victims = names + [name for name in names if "worker" not in name] * (SERVICE_KILLS - 1)
    random.Random(7).shuffle(victims)
    killed = []
    for name in victims:
        time.sleep(PAUSE)
        try:
            kill(name)
            killed.append(name)
        except (KeyError, ProcessLookupError):
            continue
    return killed


def status(job):
    return json.loads(request(f"/v1/jobs/{job}").read())


def ended(job):
    """What became of a job, once it has ended."""
    deadline = time.monotonic() + 2 * PATIENCE
    while True:
        try:
            now = status(job)
            if now["status"] in ENDINGS:
                return now
        except OSError:
            now = "no answer"
        assert time.monotonic() < deadline, (job, now)
        time.sleep(0.3)


whole = {prompt: api().completions.create(**ask(prompt)).choices[0].text for prompt in PROMPTS}
jobs = asyncio.run(post(PROMPTS[n % len(PROMPTS)] for n in range(JOBS)))
killed = havoc()
done(f"killed {', '.join(killed)} under {JOBS} jobs")
until_ready(*UP["health"])
for job, prompt in jobs.items():
    now = ended(job)
    assert now["status"] == "completed", (job, now)
done("every job completed")
report(texts={job: whole[prompt] for job, prompt in jobs.items()}, account=ACCOUNT)
