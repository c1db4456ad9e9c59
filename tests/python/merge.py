"""What all processes of a Lowland counted together: python merge.py NATS_URL OPERATOR_KEY_FILE"""
import asyncio, base64, collections, sys
import msgpack, nats
from hdrh.histogram import HdrHistogram


async def listen(url, key_file, seconds=5):
    latest, nc = {}, await nats.connect(url, nkeys_seed=key_file)
    async def take(message):  # a sample without figures is a sign of life: the figures told before stand
        latest.setdefault(message.subject, {}).update(msgpack.unpackb(message.data))
    await nc.subscribe("live.metric.>", cb=take)
    await asyncio.sleep(seconds)
    await nc.close()
    return latest.values()


def merge(samples):
    counters, histograms = collections.Counter(), {}
    for sample in samples:
        counters.update(sample.get("counters", {}))
        for series, encoded in sample.get("histograms", {}).items():
            histogram = HdrHistogram.decode(base64.b64encode(encoded))
            histograms.setdefault(series, HdrHistogram(1, histogram.highest_trackable_value, 3)).add(histogram)
    return counters, histograms


if __name__ == "__main__":
    counters, histograms = merge(asyncio.run(listen(*sys.argv[1:])))
    for series, count in sorted(counters.items()):
        print(series, count)
    for series, merged in sorted(histograms.items()):
        print(series, merged.get_total_count(), "p99", merged.get_value_at_percentile(99))
