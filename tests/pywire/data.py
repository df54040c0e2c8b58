# SPDX-License-Identifier: MIT OR Apache-2.0
"""Omni data messages: header, seal and open, replay, bundles, fragments, segments
(docs/protocol.md).

Written from the document alone; shares nothing with lib/.
"""
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

FRAME, BUNDLE, FRAGMENT, CONTROL, KEEPALIVE, SEGMENT = range(6)
CIPHER_AESGCM, CIPHER_CHACHAPOLY = 1, 2
HEADER_LEN = 24
TAG_LEN = 16
FRAGMENT_HEADER_LEN = 8
PIECE_HEADER_LEN = 12
PIECES_MAX = 64
SIZE_MIN = 8
FRAGMENT_MIN_PIECE = 256
FRAGMENT_MAX_PIECES = 64
WINDOW = 2048


class Refused(Exception):
    """A message that the protocol says to drop."""


def aead(cipher, key):
    return AESGCM(key) if cipher == CIPHER_AESGCM else ChaCha20Poly1305(key)


def header(session_id, sequence, lane, kind, zero18=0, flags=0, zero22=0):
    return struct.pack(">QQHHBBH", session_id, sequence, lane, zero18, kind, flags, zero22)


def nonce_of(hdr):
    return hdr[16:20] + hdr[8:16]


class Window:
    """Replay window of one (session, lane): a set is slow, and plainly right."""

    def __init__(self):
        self.top = -1
        self.seen = set()

    def peek(self, seq):
        return seq > self.top - WINDOW and seq not in self.seen

    def mark(self, seq):
        if not self.peek(seq):
            return False
        self.seen.add(seq)
        if seq > self.top:
            self.top = seq
            if len(self.seen) > 4 * WINDOW:
                self.seen = {s for s in self.seen if s > self.top - WINDOW}
        return True


class Sender:
    """One direction's sending half: a key, the receiver's session id, a counter per lane."""

    def __init__(self, cipher, key, session_id):
        self.aead = aead(cipher, key)
        self.session_id = session_id
        self.sequence = {}
        self.frame_id = {}

    def seal(self, kind, payload=b"", lane=0, sequence=None, **reserved):
        """One datagram. An explicit sequence leaves the counter alone (tests of replay only)."""
        if sequence is None:
            sequence = self.sequence.get(lane, 0)
            self.sequence[lane] = sequence + 1
        hdr = header(self.session_id, sequence, lane, kind, **reserved)
        return hdr + self.aead.encrypt(nonce_of(hdr), payload, hdr)

    def bundle(self, frames, lane=1):
        return self.seal(BUNDLE, b"".join(struct.pack(">H", len(f)) + f for f in frames), lane)

    def fragments(self, frame, piece, lane=1, order=None):
        """A frame as sealed fragments of at most `piece` bytes each."""
        fid = self.frame_id.get(lane, 0)
        self.frame_id[lane] = fid + 1
        out = []
        for off in range(0, len(frame), piece):
            part = frame[off:off + piece]
            out.append(struct.pack(">IHH", fid, off, len(frame)) + part)
        if order:
            out = [out[i] for i in order]
        return [self.seal(FRAGMENT, p, lane) for p in out]


    def pieces(self, segment, size, piece, lane=1):
        """A TCP segment as sealed pieces of at most `piece` bytes each."""
        sid = self.frame_id.get(lane, 0)
        self.frame_id[lane] = sid + 1
        return [self.seal(SEGMENT, struct.pack(">IHHHH", sid, off, len(segment), size, 0) +
                          segment[off:off + piece], lane)
                for off in range(0, len(segment), piece)]


def checksum(data):
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def cut(segment, size):
    """The frames that a TCP segment stands for, with finished checksums."""
    l3 = 14
    while segment[l3 - 2:l3] in (b"\x81\0", b"\x88\xa8"):
        l3 += 4
    v6 = segment[l3 - 2:l3] == b"\x86\xdd"
    if not v6 and segment[l3 - 2:l3] != b"\x08\0":
        raise Refused("neither IPv4 nor IPv6")
    l4 = l3 + (40 if v6 else (segment[l3] & 15) * 4)
    if segment[l3 + (6 if v6 else 9)] != 6:
        raise Refused("no TCP")
    payload = l4 + (segment[l4 + 12] >> 4) * 4
    if size < SIZE_MIN or payload >= len(segment):
        raise Refused("no segment")
    frames = []
    for at in range(payload, len(segment), size):
        f = bytearray(segment[:payload] + segment[at:at + size])
        last, number = at + size >= len(segment), len(frames)
        sequence = struct.unpack_from(">I", f, l4 + 4)[0]
        struct.pack_into(">I", f, l4 + 4, (sequence + at - payload) & 0xffffffff)
        f[l4 + 13] &= (0xff if last else 0xf6) & (0x7f if number else 0xff)
        if v6:
            struct.pack_into(">H", f, l3 + 4, len(f) - l3 - 40)
            addresses = f[l3 + 8:l3 + 40]
        else:
            ip_id = struct.unpack_from(">H", f, l3 + 4)[0]
            struct.pack_into(">HH", f, l3 + 2, len(f) - l3, (ip_id + number) & 0xffff)
            struct.pack_into(">H", f, l3 + 10, 0)
            struct.pack_into(">H", f, l3 + 10, checksum(bytes(f[l3:l4])))
            addresses = f[l3 + 12:l3 + 20]
        struct.pack_into(">H", f, l4 + 16, 0)
        pseudo = bytes(addresses) + struct.pack(">II", len(f) - l4, 6)
        struct.pack_into(">H", f, l4 + 16, checksum(pseudo + bytes(f[l4:])))
        frames.append(bytes(f))
    return frames


class Gatherer:
    """Pieces in their order, one segment of a lane at a time."""

    def __init__(self):
        self.open = {}

    def add(self, lane, payload):
        """(segment, size) when this piece completes it, else None."""
        if len(payload) <= PIECE_HEADER_LEN:
            raise Refused("empty piece")
        sid, off, whole, size, zero = struct.unpack(">IHHHH", payload[:PIECE_HEADER_LEN])
        part = payload[PIECE_HEADER_LEN:]
        if zero or off + len(part) > whole:
            raise Refused("piece header")
        name, parts = self.open.pop(lane, (None, []))
        if off == 0:
            name, parts = (sid, whole, size), []
        if name != (sid, whole, size) or sum(map(len, parts)) != off or len(parts) == PIECES_MAX:
            raise Refused("a piece is missing")
        parts.append(part)
        if off + len(part) == whole:
            return b"".join(parts), size
        self.open[lane] = name, parts
        return None


class Reassembler:
    def __init__(self, largest):
        self.largest = largest
        self.open = {}

    def add(self, lane, payload):
        """The whole frame when this piece completes it, else None."""
        if len(payload) <= FRAGMENT_HEADER_LEN:
            raise Refused("empty fragment")
        fid, off, whole = struct.unpack(">IHH", payload[:FRAGMENT_HEADER_LEN])
        part = payload[FRAGMENT_HEADER_LEN:]
        if off + len(part) > whole or whole > self.largest:
            raise Refused("fragment beyond its frame")
        if off + len(part) < whole and len(part) < FRAGMENT_MIN_PIECE:
            raise Refused("short fragment")
        f = self.open.setdefault((lane, fid), {"whole": whole, "parts": {}})
        if f["whole"] != whole or any(off < o + len(p) and o < off + len(part)
                                      for o, p in f["parts"].items()):
            del self.open[(lane, fid)]
            raise Refused("fragment overlaps or changes its frame's length")
        f["parts"][off] = part
        if len(f["parts"]) > FRAGMENT_MAX_PIECES:
            del self.open[(lane, fid)]
            raise Refused("too many fragments")
        if sum(map(len, f["parts"].values())) < whole:
            return None
        del self.open[(lane, fid)]
        return b"".join(p for _, p in sorted(f["parts"].items()))


def unbundle(payload):
    """The frames of a bundle; Refused for anything that is not exactly a bundle."""
    frames, at = [], 0
    if not payload:
        raise Refused("empty bundle")
    while at < len(payload):
        if len(payload) - at < 2:
            raise Refused("trailing byte")
        n = struct.unpack_from(">H", payload, at)[0]
        at += 2
        if n == 0 or at + n > len(payload):
            raise Refused("bundle length")
        frames.append(payload[at:at + n])
        at += n
    return frames


class Receiver:
    """One direction's receiving half. open() gives (kind, lane, sequence, payload)."""

    def __init__(self, cipher, key, session_id, lanes, largest=1514):
        self.aead = aead(cipher, key)
        self.session_id = session_id
        self.lanes = lanes
        self.windows = {}
        self.reassembler = Reassembler(largest)
        self.gatherer = Gatherer()
        self.kinds = [0] * 256

    def open(self, datagram):
        if len(datagram) < HEADER_LEN + TAG_LEN:
            raise Refused("short")
        hdr = datagram[:HEADER_LEN]
        sid, seq, lane, zero18, kind, flags, zero22 = struct.unpack(">QQHHBBH", hdr)
        if sid != self.session_id:
            raise Refused("session id")
        if zero18 or flags or zero22:
            raise Refused("reserved bits")
        if lane >= self.lanes:
            raise Refused("lane beyond the grant")
        window = self.windows.setdefault(lane, Window())
        if not window.peek(seq):
            raise Refused("replay")
        try:
            payload = self.aead.decrypt(nonce_of(hdr), datagram[HEADER_LEN:], hdr)
        except InvalidTag:
            raise Refused("tag") from None
        window.mark(seq)
        self.kinds[kind] += 1
        return kind, lane, seq, payload

    def frames(self, kind, lane, payload):
        """The Ethernet frames that a data message completes."""
        if kind == FRAME:
            return [payload]
        if kind == BUNDLE:
            return unbundle(payload)
        if kind == FRAGMENT:
            whole = self.reassembler.add(lane, payload)
            return [whole] if whole else []
        if kind == SEGMENT:
            whole = self.gatherer.add(lane, payload)
            return cut(*whole) if whole else []
        return []
