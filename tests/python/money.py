"""Money runs out: a new price takes effect without a restart, jobs are rejected before they start, a top-up counts once,
concurrent requests cannot overspend, and balance and invoice say the same."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import time

import openai

from scene import ACCOUNT, PATIENCE, UP, WRITER, api, done, raises, report

ASK = {"model": WRITER, "prompt": "Once upon a time there was", "max_tokens": 100, "temperature": 0}
# A tenth of a unit an output token: a job holds 10 units and a little.
DEAR = f"""
[[version]]
id = "dear"
effective = "2026-01-02T00:00:00Z"
[version.models.{WRITER}]
input_tokens = "0"
output_tokens = "100000"
"""
MICROS = 1_000_000


def command(*arguments):
    """The `lowland` command on the same data folder."""
    arguments = [os.environ["LOWLAND_PROGRAM"], "--data", UP["data"], *arguments]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended
    return ended.stdout


def balance():
    return json.loads(command("balance", ACCOUNT, "--json"))


def job(**settings):
    return api().completions.create(**{**ASK, **settings})


def refused(**settings):
    """Why a job is refused, if it is."""
    try:
        job(**settings)
    except openai.APIStatusError as error:
        return error
    return None


def until_settled():
    """Waits until nothing is set aside, and gives the balance."""
    deadline = time.monotonic() + PATIENCE
    while (now := balance())["set_aside"] != "0":
        assert time.monotonic() < deadline, now
        time.sleep(0.1)
    return now


def prices_change():
    prices = pathlib.Path(UP["data"]) / "prices.toml"
    prices.write_text(prices.read_text() + DEAR)
    deadline = time.monotonic() + PATIENCE
    error = None
    while error is None:
        assert time.monotonic() < deadline, "the new prices did not take effect"
        error = refused(max_tokens=101)
    assert (error.status_code, error.code) == (402, "insufficient_quota"), error
    assert "10.100000" in str(error) and "max_tokens" in str(error), error
    done("new prices without a restart; no money: rejected, with what is needed")


def topup():
    before = int(until_settled()["available"])
    said = command("topup", ACCOUNT, "25", "--id", "payment-1", "--reference", "bank 0815")
    assert "25.000000" in said, said
    assert int(balance()["available"]) == before + 25 * MICROS
    done("a top-up")
    return before + 25 * MICROS


def crowd(have):
    """Ten at once, with money for less than four."""
    def ask(_):
        try:
            return job()
        except openai.APIStatusError as error:
            assert error.status_code == 402, error
            return None

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = [answer for answer in pool.map(ask, range(10)) if answer]
    assert len(answers) == have // (10 * MICROS) == 3, (len(answers), have)
    assert all(answer.usage.completion_tokens == 100 for answer in answers)
    now = until_settled()
    assert int(now["available"]) == have - 3 * 10 * MICROS, now
    raises(openai.APIStatusError, job, "10.000000", "top the account up")
    done("ten at once spend no more than there is")
    return answers, now


def papers(now):
    invoice = json.loads(command("invoice", ACCOUNT, "--json"))
    assert int(invoice["closing"]) == int(now["available"]), (invoice, now)
    lines = sum(int(line["amount"]) for line in invoice["lines"])
    assert lines + int(invoice["rounding"]) - int(invoice["waived"]) == int(invoice["charged"])
    dear = [line for line in invoice["lines"] if line["price_version"] == "dear"]
    assert [(line["meter"], line["quantity"]) for line in dear if line["rate"] != "0"] == [("output_tokens", 300)]
    printed = command("invoice", ACCOUNT)
    for part in ("bank 0815", WRITER, "output_tokens", "300", "closing balance"):
        assert part in printed, printed
    assert ACCOUNT in command("balance")
    done("invoice and balance agree")


prices_change()
answers, now = crowd(topup())
papers(now)
report(jobs=[answer.id.removeprefix("cmpl-") for answer in answers], account=ACCOUNT)
