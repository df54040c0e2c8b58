# SPDX-License-Identifier: MIT OR Apache-2.0
"""Packet captures: tcpdump in a namespace, and what is in the file it wrote."""
import ipaddress
import re
import signal
import struct
import subprocess
import time

from topo import PORT

ETH_IPV4, ETH_IPV6, ETH_ARP = 0x0800, 0x86dd, 0x0806


class Capture:
    """tcpdump on one interface, whole frames, from start() to stop()."""

    def __init__(self, ns, interface, path, expression=(), packets=None):
        self.path = path
        self.argv = ["ip", "netns", "exec", ns, "tcpdump", "-i", interface, "-w", path, "-n",
                     "-s", "0", "-B", "65536", "-Z", "root"]
        if packets:
            self.argv += ["-c", str(packets)]
        self.argv += list(expression)
        self.popen = None
        self.said = ""

    def start(self):
        self.popen = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL,
                                      stderr=subprocess.PIPE, text=True, start_new_session=True)
        first = self.popen.stderr.readline()
        while "listening on" not in first:
            if not first:
                raise RuntimeError("tcpdump did not start: " + " ".join(self.argv))
            first = self.popen.stderr.readline()
        return self

    def stop(self):
        """End it; what the kernel had queued by now is in the file."""
        if self.popen.poll() is None:
            time.sleep(1.2)  # its ring hands a partly filled block over after a second
            self.popen.send_signal(signal.SIGINT)
        try:
            _, self.said = self.popen.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.abort()
        return self

    def abort(self):
        if self.popen and self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()

    def lost(self):
        """Packets that tcpdump says it did not see."""
        m = re.search(r"(\d+) packets dropped by kernel", self.said)
        return int(m.group(1)) if m else 0


def packets(raw):
    """Yield (start, end) of each packet in a pcap file's bytes (microsecond or nanosecond form)."""
    if raw[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
        raise ValueError("not a little-endian pcap file")
    at, size = 24, len(raw)
    while at + 16 <= size:
        held, = struct.unpack_from("<I", raw, at + 8)
        yield at + 16, at + 16 + held
        at += 16 + held


class Summary:
    """What a capture holds: our datagrams by (source, destination), ARP, ND, and anything else;
    until: of what it saw up to then, in seconds since 1970."""

    def __init__(self, path, port=PORT, until=float("inf")):
        with open(path, "rb") as f:
            self.raw = f.read()
        self.total = self.arp = self.nd = 0
        self.ours = {}
        self.without_df = 0  # of ours
        self.other = []
        for start, end in packets(self.raw):
            if struct.unpack_from("<I", self.raw, start - 16)[0] + self._fraction(start) > until:
                break
            self.total += 1
            self._packet(self.raw, start, end, port)

    def _fraction(self, start):
        fraction, = struct.unpack_from("<I", self.raw, start - 12)
        return fraction / (1e6 if self.raw[0] == 0xd4 else 1e9)

    def _packet(self, raw, start, end, port):
        kind, = struct.unpack_from(">H", raw, start + 12)
        l3 = start + 14
        if kind == ETH_ARP:
            self.arp += 1
            return
        if kind == ETH_IPV4 and raw[l3 + 9] == 17 and raw[l3] == 0x45:
            sport, dport = struct.unpack_from(">HH", raw, l3 + 20)
            fragment, = struct.unpack_from(">H", raw, l3 + 6)
            if port in (sport, dport) and not fragment & 0x3fff:
                pair = raw[l3 + 12:l3 + 20]
                self.ours[pair] = self.ours.get(pair, 0) + 1
                self.without_df += not fragment & 0x4000
                return
        if kind == ETH_IPV6 and raw[l3 + 6] == 58 and 133 <= raw[l3 + 40] <= 137:
            self.nd += 1
            return
        self.other.append(raw[start:min(end, start + 64)].hex())

    def sent_by(self, addr):
        a = ipaddress.ip_address(addr).packed
        return sum(n for pair, n in self.ours.items() if pair[:4] == a)

    def sent_to(self, addr):
        a = ipaddress.ip_address(addr).packed
        return sum(n for pair, n in self.ours.items() if pair[4:] == a)

    def holds(self, marker):
        return marker in self.raw
