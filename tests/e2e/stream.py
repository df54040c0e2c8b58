#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A TCP connection whose two ends say what they sent and received.

    stream.py serve ADDRESS          one connection: {"bytes", "sha256", "gap", "mss"}; gap: the
                                     longest time without a byte, in seconds
    stream.py send ADDRESS [--bytes N | --seconds S] [--rate BYTES_PER_SECOND]
"""
import argparse
import hashlib
import json
import os
import socket
import subprocess
import sys
import time

PORT = 5300
CHUNK = 1 << 16


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(address, patience):
    listener = socket.create_server((address, PORT), family=family(address))
    print("ready", flush=True)
    listener.settimeout(60)
    connection, _ = listener.accept()
    connection.settimeout(patience)
    digest, count, gap, last = hashlib.sha256(), 0, 0.0, None
    while data := connection.recv(1 << 20):
        now = time.monotonic()
        gap = max(gap, now - last) if last is not None else gap
        last = now
        digest.update(data)
        count += len(data)
    mss = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    return {"bytes": count, "sha256": digest.hexdigest(), "gap": round(gap, 3), "mss": mss}


def send(address, size, seconds, rate, patience):
    connection = socket.create_connection((address, PORT), timeout=60)
    connection.settimeout(patience)
    digest, sent, began = hashlib.sha256(), 0, time.monotonic()
    while (sent < size) if seconds is None else (time.monotonic() - began < seconds):
        data = os.urandom(CHUNK if seconds is not None else min(CHUNK, size - sent))
        digest.update(data)
        connection.sendall(data)
        sent += len(data)
        if rate:
            time.sleep(max(0, began + sent / rate - time.monotonic()))
    mss = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)  # the end of the other side: everything was taken
    return {"bytes": sent, "sha256": digest.hexdigest(), "mss": mss,
            "seconds": round(time.monotonic() - began, 3)}


class Stream:
    """One such connection between two namespaces, under way from the beginning. It ends where
    nothing passes for `patience` seconds."""

    def __init__(self, client, server, address, size=1 << 20, seconds=None, rate=None,
                 patience=60):
        here = [sys.executable, os.path.abspath(__file__), "--patience", str(patience)]
        run = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.server = subprocess.Popen(["ip", "netns", "exec", server, *here, "serve", address],
                                       **run)
        self.client = None
        if self.server.stdout.readline() != "ready\n":
            self.server.wait()
            raise RuntimeError("no server: " + self.server.stderr.read())
        asked = ["--seconds", str(seconds)] if seconds is not None else ["--bytes", str(size)]
        if rate:
            asked += ["--rate", str(rate)]
        self.client = subprocess.Popen(["ip", "netns", "exec", client, *here, "send", address,
                                        *asked], **run)

    def abort(self):
        for p in (self.client, self.server):
            if p is not None and p.poll() is None:
                p.kill()
                p.wait()

    def finish(self, timeout=60):
        """What the server saw, and `sent` what the client said; the bytes are the same ones."""
        try:
            out, err = self.client.communicate(timeout=timeout)
            assert self.client.returncode == 0, err[-300:]
            got, err = self.server.communicate(timeout=timeout)
            assert self.server.returncode == 0, err[-300:]
        finally:
            self.abort()
        sent, seen = json.loads(out), json.loads(got)
        assert (sent["bytes"], sent["sha256"]) == (seen["bytes"], seen["sha256"])
        return {**seen, "sent": sent}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("what", choices=["serve", "send"])
    ap.add_argument("address")
    ap.add_argument("--bytes", type=int, default=1 << 20)
    ap.add_argument("--seconds", type=float)
    ap.add_argument("--rate", type=float)
    ap.add_argument("--patience", type=float, default=60)
    a = ap.parse_args()
    print(json.dumps(serve(a.address, a.patience) if a.what == "serve" else
                     send(a.address, a.bytes, a.seconds, a.rate, a.patience)), flush=True)


if __name__ == "__main__":
    main()
