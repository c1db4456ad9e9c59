"""What of that which was acknowledged is still there.

    verdict.py ACKNOWLEDGED WHOLE LEFT MOMENT

ACKNOWLEDGED are the proxy's notes, WHOLE is what the streams of the unharmed system held, LEFT what those on the copy hold,
MOMENT when the power went. Prints one line: of requests, job events, money events and others how many had been acknowledged
and how many of these are lost or changed; then how many messages are there that nobody had been promised.
Ends with 3 if anything is lost or changed.
"""

import sys

# What it ends with if anything is lost or changed; 1 is Python's own.
MISSING = 3
KINDS = ("request", "job", "account", "instance")


def contents(path):
    """Stream and sequence: subject and hash."""
    with open(path) as file:
        return {(stream, int(sequence)): (subject, what) for stream, sequence, subject, what in map(str.split, file)}


def promised(path, moment):
    """Stream and sequence of what had been acknowledged before the moment."""
    with open(path) as file:
        for line in file:
            words = line.split()
            if len(words) == 4 and int(words[0]) < moment:
                last, count = int(words[2]), int(words[3])
                yield from ((words[1], sequence) for sequence in range(last - count + 1, last + 1))


def main(acknowledged, whole, left, moment):
    whole, left = contents(whole), contents(left)
    before = {place for place in promised(acknowledged, int(moment)) if place[0] in ("LOG", "REQUESTS")}
    strangers = before - whole.keys()
    assert not strangers, f"acknowledged, and not in the unharmed streams: {sorted(strangers)[:5]}"
    found = {kind: [0, 0] for kind in KINDS}
    for place in before:
        counts = found[whole[place][0].split(".")[1]]
        counts[0] += 1
        counts[1] += left.get(place) != whole[place]
    unpromised = len(left.keys() - before)
    print(*(f"{counts[0]:7} {counts[1]:6}" for counts in found.values()), f"{unpromised:7}")
    sys.exit(MISSING if any(lost for _, lost in found.values()) else 0)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
