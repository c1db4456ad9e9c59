"""Whoever tries to speak for somebody else is refused by the bus: tenants, and services beyond their part."""

import asyncio
import json
import pathlib

import nats

from scene import ACCOUNT, PATIENCE, UP, WRITER, Heard, bus, done, new_id, raises_async, report

FORGED = "forged"
JOB = json.dumps({"model": WRITER, "prompt": "x", "max_tokens": 1}).encode()


class Refusals:
    """What the server says against this client."""

    def __init__(self):
        self.said = []

    async def take(self, error):
        self.said.append(str(error))

    async def refuses(self, subject):
        """Waits until the server has refused something about `subject`."""
        for _ in range(int(PATIENCE * 100)):
            if any("ermissions violation" in said.lower() and subject.lower() in said.lower() for said in self.said):
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{subject} was not refused: {self.said}")


async def connect(**credentials):
    refusals = Refusals()
    nc = await nats.connect(
        UP["nats_url"], error_cb=refusals.take, allow_reconnect=False, **credentials
    )
    return nc, refusals


def seed(role):
    return (pathlib.Path(UP["data"]) / "keys" / f"{role}.nk").read_text().strip()


async def publishes(nc, refusals, who, *subjects):
    for subject in subjects:
        await nc.publish(subject, JOB)
        await nc.flush()
        await refusals.refuses(subject)
    done(f"{who} may not publish {len(subjects)} subjects")


async def tenant():
    nc, refusals = await connect(user=UP["nats_user"], password=UP["nats_password"])
    await publishes(
        nc, refusals, "a tenant",
        # Another account's request, a worker's completion, a charge.
        f"lowland.request.other.{FORGED}.posted",
        f"lowland.job.{ACCOUNT}.{FORGED}.completed",
        f"lowland.account.{ACCOUNT}.{ACCOUNT}.charged",
        # Money, answers, tokens, instances, measurements, what streams republish.
        f"lowland.request.{ACCOUNT}.{FORGED}.topup_posted",
        f"lowland.request.{ACCOUNT}.{FORGED}.rejected",
        f"lowland.account.{ACCOUNT}.{ACCOUNT}.topped_up",
        f"lowland.job.{ACCOUNT}.{FORGED}.submitted",
        f"lowland.job.{ACCOUNT}.{FORGED}.assigned.w1",
        f"lowland.token.{ACCOUNT}.{FORGED}.1",
        f"lowland.instance.{WRITER}.{FORGED}.ready",
        f"lowland.metric.worker.{FORGED}.sampled",
        f"live.job.{ACCOUNT}.{FORGED}.completed",
        # The streams themselves.
        "$JS.API.STREAM.DELETE.LOG",
        "$JS.API.STREAM.PURGE.LOG",
        "$JS.API.STREAM.MSG.GET.LOG",
        "$JS.API.CONSUMER.CREATE.LOG",
        "$SYS.REQ.SERVER.PING",
    )
    for subject in ("live.>", "live.job.other.>", "lowland.>", ">", "$SYS.>"):
        await nc.subscribe(subject)
        await nc.flush()
        await refusals.refuses(subject)
    done("a tenant may not listen to others")
    await nc.close()


async def services():
    beyond = {
        "worker-w1": [
            f"lowland.account.{ACCOUNT}.{ACCOUNT}.charged",
            f"lowland.job.{ACCOUNT}.{FORGED}.submitted",
            f"lowland.job.{ACCOUNT}.{FORGED}.held",
            f"lowland.job.{ACCOUNT}.{FORGED}.assigned.w2",
            f"lowland.request.{ACCOUNT}.{FORGED}.posted",
            "$JS.API.STREAM.DELETE.LOG",
        ],
        "gateway": [
            f"lowland.account.{ACCOUNT}.{ACCOUNT}.topped_up",
            f"lowland.job.{ACCOUNT}.{FORGED}.completed",
            f"lowland.request.{ACCOUNT}.{FORGED}.topup_posted",
            "$JS.API.STREAM.PURGE.LOG",
        ],
        "scheduler": [
            f"lowland.account.{ACCOUNT}.{ACCOUNT}.charged",
            f"lowland.token.{ACCOUNT}.{FORGED}.1",
            f"lowland.request.{ACCOUNT}.{FORGED}.topup_posted",
            "$JS.API.STREAM.DELETE.LOG",
        ],
        "billing": [
            f"lowland.job.{ACCOUNT}.{FORGED}.completed",
            f"lowland.job.{ACCOUNT}.{FORGED}.assigned.w1",
            f"lowland.request.{ACCOUNT}.{FORGED}.topup_posted",
            "$JS.API.STREAM.DELETE.LOG",
        ],
    }
    for role, subjects in beyond.items():
        nc, refusals = await connect(nkeys_seed_str=seed(role), inbox_prefix=f"_INBOX_{role}".encode())
        await publishes(nc, refusals, role, *subjects)
        await nc.close()


async def strangers():
    for credentials in (
        {},
        {"user": UP["nats_user"], "password": "wrong"},
        {"user": "other", "password": UP["nats_password"]},
    ):
        await raises_async(nats.errors.Error, nats.connect(UP["nats_url"], allow_reconnect=False, **credentials))
    done("nobody connects without the right password")


async def honest():
    nc = await bus()
    heard = await Heard.by(nc)
    job = new_id()
    await nc.publish(f"lowland.request.{ACCOUNT}.{job}.posted", JOB)
    assert (await heard.event(job, "completed", "rejected"))[0] == "completed"
    await nc.close()
    done("one's own request is taken as before")


async def main():
    await tenant()
    await services()
    await strangers()
    await honest()


asyncio.run(main())
report(forged=FORGED)
