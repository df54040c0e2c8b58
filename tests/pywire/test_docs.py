# SPDX-License-Identifier: MIT OR Apache-2.0
"""docs/protocol.md's transcript, held against this implementation; what docs/testing.md names."""
import importlib.util
import pathlib
import re

import pytest

from . import control, data, handshake, nucleus

TESTS = pathlib.Path(__file__).resolve().parent.parent
TEXT = (TESTS.parent / "docs" / "protocol.md").read_text(encoding="utf-8")


def printed():
    out = {}
    for block in re.findall(r"^```transcript\n(.*?)^```", TEXT, re.S | re.M):
        for entry in re.findall(r"^(\w+)[ \n]((?:-|[0-9a-f ]|\n  )+)$", block, re.M):
            assert entry[0] not in out
            out[entry[0]] = bytes.fromhex(entry[1].replace("-", ""))
    return out


P = printed()


def generator():
    spec = importlib.util.spec_from_file_location("make_protocol",
                                                  TESTS / "vectors" / "make_protocol.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_transcript_is_what_this_implementation_makes():
    want = {k: v for values in generator().transcript().values() for k, v in values.items()}
    assert P == want and len(P) > 100


@pytest.mark.parametrize("purpose", ["peer", "nucleus"])
def test_handshakes_run_from_the_document(purpose):
    def get(name):
        return P[f"{purpose}_{name}"]
    offer = handshake.Offer.unpack(get("initiation_payload"))
    a = handshake.Initiator(get("initiator_secret"), get("responder_public"), get("psk"),
                            get("prologue"))
    message = a.initiation(int.from_bytes(P["initiator_session_id"], "big"),
                           get("initiator_ephemeral"), offer, get("proof_key"), get("cookie"))
    assert message == get("initiation")
    b = handshake.Responder(get("responder_secret"), get("prologue"))
    b.open_initiation(message)
    assert b.proof_hash == get("proof_hash")
    response = b.response(int.from_bytes(P["responder_session_id"], "big"),
                          get("responder_ephemeral"),
                          handshake.Answer.unpack(get("response_payload")), get("psk"))
    assert response == get("response") and a.open_response(response).result == 0
    assert (a.send, a.recv) == (get("initiator_sends"), get("responder_sends"))


def test_data_opens_from_the_document():
    session = int.from_bytes(P["data_session_id"], "big")
    for cipher, suffix in ((1, "aesgcm"), (2, "chachapoly")):
        r = data.Receiver(cipher, P["data_key"], session, 3)
        frames = []
        for name in ("frame", "bundle", "fragment_1", "fragment_2", "segment_1", "segment_2",
                     "control", "keepalive"):
            kind, lane, _, payload = r.open(P[f"{name}_{suffix}"])
            assert payload == P[f"{name}_plain"]
            frames += r.frames(kind, lane, payload)
        assert [len(f) for f in frames] == [60, 60, 5, 300, 154, 154]
        assert frames[4][54:] + frames[5][54:] == bytes(range(200))
    r = data.Receiver(2, P["nucleus_initiator_sends"], session, 1)
    assert r.open(P["register_sealed"])[3] == P["register"]
    assert control.decode(P["probe_of_40"])[control.TYPE] == control.PROBE
    nucleus.open_record(nucleus.decode(P["record"]), P["cluster_id"])


def table(heading):
    """First cells of the table rows under a heading."""
    section = TEXT.split(f"\n### {heading}\n")[1].split("\n#")[0]
    return [row.split("|")[1].strip() for row in section.splitlines() if row.startswith("| ")]


def test_numbers_of_the_tables():
    keys = dict(reversed(c.split(" ", 1)) for c in table("Keys of the maps") if c[:1].isdigit())
    assert keys == {n.lower(): str(getattr(nucleus, n)) for n in (
        "TYPE ID RECORD RESULT REGISTRATION SEEN LEASE EPOCH COUNT PEERS REMOVED MORE CURSOR VIP "
        "KEY FOUND CODE TEXT RESYNC").split()}
    types = dict(reversed(c.split(" ", 1)) for c in table("Messages") if c[-1:].isupper())
    assert types == {n: str(getattr(nucleus, n)) for n in (
        "REGISTER REGISTER_ACK HEARTBEAT HEARTBEAT_ACK LIST LIST_ACK QUERY_PEER PEER_INFO PUNCH "
        "BYE ERROR").split()}
    record = dict(reversed(c.split(" ", 1)) for c in table("Member record") if c[:1].isdigit())
    assert record == {n[2:].lower(): str(getattr(nucleus, n)) for n in dir(nucleus)
                      if n.startswith("R_")}


def test_the_page_on_testing_names_all_tests():
    page = (TESTS.parent / "docs" / "testing.md").read_text(encoding="utf-8")
    names = [p.name for p in (TESTS / "e2e").glob("test_*.py")]
    names += [f"tests/{p.name}" for p in TESTS.iterdir() if p.is_dir() and p.name[0] not in "._"]
    assert [n for n in names if f"`{n}`" not in page] == []
