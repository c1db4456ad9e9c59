"""A disk that keeps a diary: every write and every flush, in order, each with the moment at which it came.

    disk.py serve MOUNTPOINT IMAGE DIARY     offers IMAGE as the file MOUNTPOINT/disk; ends when that is unmounted
    disk.py cuts DIARY COUNT SEED FROM TO    chooses moments between two points of the clock: one number a line
    disk.py replay BASE DIARY OUT CUT MODE   makes OUT, what BASE had become when the power went at record CUT
    disk.py last DIARY CUT                   prints the moment at which record CUT came

`serve` speaks the kernel's own FUSE protocol, so it needs root and nothing else. It answers one request at a time, in the
order in which they come. A loop device over that file, with a file system on it, is a machine's disk: what the kernel has
written back is in the diary, what it still has in its caches is not, and what has been flushed is told from what the
disk had only taken.

MODE says what became of the writes since the last flush, which a disk may still have had in its own cache:
`all` of them arrived, `none` did, or `some`: each by chance of its place in the diary, the last one torn.
"""

import ctypes
import os
import random
import stat
import struct
import subprocess
import sys
import time

# One record of the diary: kind, moment in nanoseconds of the monotonic clock, offset, length. A write's bytes follow.
RECORD = struct.Struct("<cQQI")
WRITE, FLUSH = b"W", b"F"
# What a disk writes as a whole, in bytes.
SECTOR = 512

# The kernel's protocol (linux/fuse.h), version 7.31.
IN_HEADER = struct.Struct("<IIQQIIIHH")
OUT_HEADER = struct.Struct("<IiQ")
MAJOR, MINOR = 7, 31
LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE_OP, STATFS = 1, 2, 3, 4, 14, 15, 16, 17
RELEASE, FSYNC, FLUSH_OP, INIT, OPENDIR, READDIR, RELEASEDIR = 18, 20, 25, 26, 27, 28, 29
ACCESS, INTERRUPT, DESTROY, BATCH_FORGET = 34, 36, 38, 42
ASYNC_READ, BIG_WRITES, MAX_PAGES = 1 << 0, 1 << 5, 1 << 22
OPENED_DIRECT = 1 << 0
WRITE_MAX = 1 << 20
ROOT_NODE, DISK_NODE = 1, 2
FOREVER = 1 << 30
ENOENT, ENOSYS, ENODEV = 2, 38, 19
SILENT = (FORGET, BATCH_FORGET, INTERRUPT)


class Disk:
    """One file, in one folder."""

    def __init__(self, image, diary):
        self.image = os.open(image, os.O_RDWR)
        self.diary = open(diary, "wb", buffering=1 << 20)
        self.size = os.fstat(self.image).st_size

    def note(self, kind, offset=0, data=b""):
        self.diary.write(RECORD.pack(kind, time.monotonic_ns(), offset, len(data)))
        self.diary.write(data)

    def attributes(self, node):
        mode, links, size = (stat.S_IFDIR | 0o700, 2, 0) if node == ROOT_NODE else (stat.S_IFREG | 0o600, 1, self.size)
        return struct.pack("<QQQQQQIIIIIIIIII", node, size, size // SECTOR, 0, 0, 0, 0, 0, 0, mode, links, 0, 0, 0, 4096, 0)

    def answer(self, operation, node, body):
        """The answer's bytes, or an error's number."""
        if operation == INIT:
            _, _, _, offered = struct.unpack_from("<IIII", body)
            flags = offered & (ASYNC_READ | BIG_WRITES | MAX_PAGES)
            return struct.pack("<IIIIHHIIHHI28x", MAJOR, MINOR, WRITE_MAX, flags, 64, 48, WRITE_MAX, 1, WRITE_MAX // 4096, 0, 0)
        if operation == LOOKUP:
            if body.rstrip(b"\0") != b"disk":
                return ENOENT
            return struct.pack("<QQQQII", DISK_NODE, 0, FOREVER, FOREVER, 0, 0) + self.attributes(DISK_NODE)
        if operation in (GETATTR, SETATTR):
            return struct.pack("<QII", FOREVER, 0, 0) + self.attributes(node)
        if operation in (OPEN, OPENDIR):
            # Past the page cache: a write that the loop device makes comes here before it is called done.
            return struct.pack("<QIi", 0, OPENED_DIRECT, 0)
        if operation == READ:
            offset, length = struct.unpack_from("<QI", body, 8)
            return os.pread(self.image, length, offset)
        if operation == WRITE_OP:
            offset, length = struct.unpack_from("<QI", body, 8)
            data = body[40:40 + length]
            self.note(WRITE, offset, data)
            os.pwrite(self.image, data, offset)
            return struct.pack("<II", length, 0)
        if operation == FSYNC:
            # Everything answered so far is on the disk for good from here on.
            self.note(FLUSH)
            return b""
        if operation == STATFS:
            return struct.pack("<QQQQQIIII24x", self.size // 4096, 0, 0, 1, 0, 4096, 255, 4096, 0)
        if operation in (READDIR, RELEASE, RELEASEDIR, FLUSH_OP, ACCESS, DESTROY):
            return b""
        return ENOSYS

    def serve(self, device):
        while True:
            try:
                request = os.read(device, WRITE_MAX + 4096)
            except OSError as error:
                if error.errno == ENODEV:
                    break
                raise
            _, operation, unique, node, *_ = IN_HEADER.unpack_from(request)
            if operation in SILENT:
                continue
            answer = self.answer(operation, node, request[IN_HEADER.size:])
            error, data = (-answer, b"") if isinstance(answer, int) else (0, answer)
            os.write(device, OUT_HEADER.pack(OUT_HEADER.size + len(data), error, unique) + data)
        self.diary.close()


def serve(mountpoint, image, diary):
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,max_read={WRITE_MAX}".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"lowland-disk", mountpoint.encode(), b"fuse", 0, options) != 0:
        sys.exit(f"mounting {mountpoint}: {os.strerror(ctypes.get_errno())}")
    Disk(image, diary).serve(device)


def records(diary):
    """Kind, moment, offset and bytes of each record; one that is not whole was never answered."""
    with open(diary, "rb") as file:
        while len(head := file.read(RECORD.size)) == RECORD.size:
            kind, moment, offset, length = RECORD.unpack(head)
            data = file.read(length)
            if len(data) < length:
                return
            yield kind, moment, offset, data


def cuts(diary, count, seed, begin, end):
    """Records at which the power goes: drawn from those between the two moments that come after a write, so that the
    disk has something in its cache."""
    begin, end, numbers, before = int(begin), int(end), [], FLUSH
    for number, (kind, moment, _, _) in enumerate(records(diary)):
        if begin <= moment <= end and before == WRITE:
            numbers.append(number)
        before = kind
    for number in sorted(random.Random(int(seed)).sample(numbers, int(count))):
        print(number)


def last(diary, cut):
    for number, (_, moment, _, _) in enumerate(records(diary)):
        if number == int(cut):
            print(moment)


def replay(base, diary, out, cut, mode):
    """BASE with the diary's records before number CUT; prints how many writes had come since the last flush."""
    cut, chance = int(cut), random.Random(int(cut))
    kinds = [kind for _, (kind, *_) in zip(range(cut), records(diary))]
    flushed = max((number for number, kind in enumerate(kinds) if kind == FLUSH), default=-1)
    pending = range(flushed + 1, len(kinds))
    kept = set({"all": pending, "none": ()}.get(mode, [number for number in pending if chance.random() < 0.5]))
    torn = max(kept, default=-1) if mode == "some" else -1
    subprocess.run(["cp", "--sparse=always", base, out], check=True)
    disk = os.open(out, os.O_RDWR)
    for number, (kind, _, offset, data) in zip(range(cut), records(diary)):
        if kind == WRITE and (number <= flushed or number in kept):
            length = chance.randrange(0, len(data) + 1, SECTOR) if number == torn else len(data)
            os.pwrite(disk, data[:length], offset)
    os.close(disk)
    print(len(pending))


COMMANDS = {"serve": serve, "cuts": cuts, "last": last, "replay": replay}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])
