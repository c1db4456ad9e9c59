"""Figures: what plain subscribers merge from samples on the bus equals what Prometheus reads from every process, and both
tell what was really done."""

import asyncio
import collections
import json
import pathlib
import subprocess
import sys
import time
import urllib.request

import msgpack
import nats
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

import merge
from scene import ACCOUNT, EMBEDDER, PATIENCE, UP, WRITER, Heard, api, bus, done, new_id, raises, report

KEY_FILE = str(pathlib.Path(UP["data"]) / "keys" / "operator.nk")
SERVICES = {name: url.removesuffix("/readyz") for name, url in UP["health"].items() if url.endswith("/readyz")}
# Chats at once: more than a worker has slots, so that both workers get some.
CHATS = 6
EMBEDDINGS = 3
MAX_TOKENS = 12
# What dashboards made for vLLM look for, as far as there is such a thing here.
VLLM = {
    "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:prompt_tokens_total", "vllm:generation_tokens_total",
    "vllm:request_success_total", "vllm:time_to_first_token_seconds", "vllm:inter_token_latency_seconds",
    "vllm:request_time_per_output_token_seconds", "vllm:e2e_request_latency_seconds", "vllm:request_queue_time_seconds",
    "vllm:request_prefill_time_seconds", "vllm:request_decode_time_seconds", "vllm:request_prompt_tokens",
    "vllm:request_generation_tokens", "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total",
}


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE) as response:
        return response.headers["Content-Type"], response.read().decode()


def every_service_answers():
    assert set(SERVICES) == {"scheduler", "billing", "gateway", "worker-w1", "worker-w2"}, SERVICES
    for base in SERVICES.values():
        assert fetch(base + "/healthz")[1] == "ok\n" and fetch(base + "/readyz")[1] == "ready\n"
        kind, text = fetch(base + "/metrics")
        assert kind == "text/plain; version=0.0.4; charset=utf-8", kind
        kind, open_text = fetch(base + "/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert kind.startswith("application/openmetrics-text"), kind
        names = [{s.name for family in parse for s in family.samples} for parse in (prometheus(text), openmetrics(open_text))]
        assert names[0] == names[1], names[0] ^ names[1]
    done("every service answers /healthz, /readyz and /metrics, in both formats")


async def tenants_may_not_listen():
    said = []

    async def take(error):
        said.append(str(error))
    nc = await nats.connect(UP["nats_url"], user=UP["nats_user"], password=UP["nats_password"], error_cb=take)
    await nc.subscribe("live.metric.>")
    await nc.flush()
    for _ in range(int(PATIENCE * 100)):
        if any("permissions violation" in text.lower() for text in said):
            break
        await asyncio.sleep(0.01)
    assert said, "a tenant may not hear what is about everybody"
    await nc.close()
    done("tenants may not listen")


def chat(number):
    asked = dict(model=WRITER, messages=[{"role": "user", "content": f"Say {number}."}], max_tokens=MAX_TOKENS, seed=number)
    if number % 2:
        return api().chat.completions.create(**asked).usage
    stream = api().chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    return [chunk.usage for chunk in stream][-1]


async def work(nc, heard):
    """Runs jobs; gives tokens that were read and written, and what was charged."""
    usages = await asyncio.gather(*(asyncio.to_thread(chat, number) for number in range(CHATS)))
    embedded = [api().embeddings.create(model=EMBEDDER, input=f"text {n}").usage for n in range(EMBEDDINGS)]
    raises(Exception, lambda: api().models.retrieve("no-such-model"), "no-such-model")
    bad = new_id("bad")
    await nc.publish(f"lowland.request.{ACCOUNT}.{bad}.posted", json.dumps({"model": "none", "prompt": "x"}).encode())
    await heard.event(bad, "rejected")

    def charges():
        found = [body for name, body in heard.of("account", ACCOUNT) if name == "charged"]
        return found if len(found) == CHATS + EMBEDDINGS else None
    charged = sum(int(body["amount"]) for body in await heard.until("every charge", charges))
    done(f"{CHATS} chats, {EMBEDDINGS} embeddings, a request and a job that are refused")
    return {
        "written": sum(usage.completion_tokens for usage in usages),
        "read": sum(usage.prompt_tokens for usage in usages),
        "embedded": sum(usage.prompt_tokens for usage in embedded),
        "charged": charged,
    }


def key(sample):
    return sample.name, frozenset(sample.labels.items())


def parsed(series):
    """A series as samples spell it, read by Prometheus' own parser."""
    [family] = prometheus(f"{series} 1\n")
    [sample] = family.samples
    return key(sample)


def scraped():
    """What Prometheus reads of all processes, added up: by kind, by series."""
    kinds = collections.defaultdict(collections.Counter)
    for base in SERVICES.values():
        for family in prometheus(fetch(base + "/metrics")[1]):
            for sample in family.samples:
                kinds[family.type][key(sample)] += sample.value
    return kinds


async def quiet():
    """Figures from both sides once nothing changes any more: by Prometheus, and the samples of the time between."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        before = scraped()
        samples = list(await merge.listen(UP["nats_url"], KEY_FILE, 5))
        if scraped() == before:
            return before, samples
    raise AssertionError("figures never stood still")


def up_to(histogram, bound):
    """Values of cells that begin at or below `bound`."""
    cells = histogram.get_recorded_iterator()
    lowest = lambda cell: histogram.get_lowest_equivalent_value(cell.value_iterated_to)
    return sum(cell.count_at_value_iterated_to for cell in cells if lowest(cell) <= bound)


def same_histogram(name, labels, histogram, read):
    scale = 1_000_000 if name.endswith("_seconds") else 1
    assert read[(name + "_count", labels)] == histogram.get_total_count(), name
    total = read[(name + "_sum", labels)] * scale
    assert abs(total - histogram.get_mean_value() * histogram.get_total_count()) <= 0.001 * total + 1, name
    bounds = 0
    for (of, its), count in read.items():
        bound = dict(its).get("le")
        if of == name + "_bucket" and its - {("le", bound)} == labels:
            bounds += 1
            limit = float("inf") if bound == "+Inf" else round(float(bound) * scale)
            assert count == up_to(histogram, limit), (name, bound, count)
    assert bounds > 10, name


def the_same(read, samples):
    counters, histograms = merge.merge(samples)
    assert {parsed(series): count for series, count in counters.items()} == read["counter"]
    gauges = collections.Counter()
    for sample in samples:
        gauges.update({parsed(series): value for series, value in sample["gauges"].items()})
    assert gauges.items() == read["gauge"].items()
    for series, histogram in histograms.items():
        name, labels = parsed(series)
        same_histogram(name, labels, histogram, read["histogram"])
    counts = {of for of, _ in read["histogram"] if of.endswith("_count")}
    assert counts == {parsed(series)[0] + "_count" for series in histograms}
    sizes = sorted(len(msgpack.packb(sample)) for sample in samples)
    print(f"samples of {sizes} bytes")
    done(f"{len(counters)} counters, {len(gauges)} gauges and {len(histograms)} histograms are the same on both sides")


def of(kind, name, **labels):
    return sum(value for (its, found), value in kind.items() if its == name and labels.items() <= dict(found).items())


def the_truth(read, did):
    counters, histograms = read["counter"], read["histogram"]
    shown = {name.removesuffix("_count") for kind in ("counter", "gauge", "histogram") for name, _ in read[kind]}
    assert VLLM <= shown, VLLM - shown
    expected = {
        ("vllm:generation_tokens_total", WRITER): did["written"],
        ("vllm:prompt_tokens_total", WRITER): did["read"],
        ("vllm:prompt_tokens_total", EMBEDDER): did["embedded"],
        ("vllm:request_success_total", WRITER): CHATS,
        ("vllm:request_success_total", EMBEDDER): EMBEDDINGS,
    }
    for (name, model), count in expected.items():
        assert of(counters, name, model_name=model) == count, (name, model, count, of(counters, name, model_name=model))
    for name, count in {
        "vllm:time_to_first_token_seconds": CHATS,
        "vllm:inter_token_latency_seconds": did["written"] - CHATS,
        "vllm:e2e_request_latency_seconds": CHATS,
        "vllm:request_queue_time_seconds": CHATS,
        "lowland_gateway_time_to_first_token_seconds": CHATS // 2,
        "lowland_gateway_request_seconds": CHATS,
    }.items():
        assert of(histograms, name + "_count", model_name=WRITER) == count, (name, count)
    assert of(histograms, "vllm:request_generation_tokens_sum", model_name=WRITER) == did["written"]
    routes = {"/v1/chat/completions": ("200", CHATS), "/v1/embeddings": ("200", EMBEDDINGS), "/v1/models/{model}": ("404", 1)}
    for route, (status, count) in routes.items():
        assert of(counters, "lowland_gateway_requests_total", route=route, status=status) == count, route
    for event, count in {"submitted": CHATS + EMBEDDINGS, "assigned": CHATS + EMBEDDINGS, "rejected": 1}.items():
        assert of(counters, "lowland_scheduler_decisions_total", event=event) == count, event
    assert of(counters, "lowland_scheduler_rejections_total", code="unknown_model") == 1
    assert of(counters, "lowland_billing_charged_micros_total") == did["charged"]
    assert of(counters, "lowland_billing_events_total", event="charged") == CHATS + EMBEDDINGS
    assert of(read["gauge"], "vllm:num_requests_running") == of(read["gauge"], "vllm:num_requests_waiting") == 0
    assert of(read["gauge"], "lowland_ready") == len(SERVICES)
    done("the figures tell what was done")


def both_workers_worked():
    for name in ("worker-w1", "worker-w2"):
        families = prometheus(fetch(SERVICES[name] + "/metrics")[1])
        ended = sum(s.value for family in families for s in family.samples if s.name == "vllm:request_success_total")
        assert ended > 0, f"{name} had nothing to do"


def the_page_s_own_words(read):
    """The script as the page has it, run as the page says."""
    script = pathlib.Path(merge.__file__)
    ended = subprocess.run([sys.executable, script, UP["nats_url"], KEY_FILE], capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0, ended
    written = f'vllm:generation_tokens_total{{model_name="{WRITER}"}} '
    [line] = [line for line in ended.stdout.splitlines() if line.startswith(written)]
    assert int(line.removeprefix(written)) == of(read["counter"], "vllm:generation_tokens_total", model_name=WRITER)
    done("the script of the page prints the same")


async def main():
    every_service_answers()
    await tenants_may_not_listen()
    nc = await bus()
    heard = await Heard.by(nc)
    did = await work(nc, heard)
    await nc.close()
    read, samples = await quiet()
    the_same(read, samples)
    the_truth(read, did)
    both_workers_worked()
    await asyncio.to_thread(the_page_s_own_words, read)


asyncio.run(main())
report()
