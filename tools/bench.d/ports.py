# SPDX-License-Identifier: MIT OR Apache-2.0
"""ports: frames from port to port through the gateway, beside dpdk-testpmd on the same ports."""
import json
import shutil

from gateways import Gateway, RpcError
from lab import BenchError, Lab, RigError, TopoError, ip, program, say, until, wanted
from probes import inside
from report import median

PAGES = 768  # of 2 MB, for both programs
SIZES = (64, 1420)
EAL = ["--in-memory", "--single-file-segments", "--iova-mode=va", "--no-pci", "--no-telemetry",
       "--log-level=lib.eal:error"]
HELP = """\
ports      the gateway as a bridge of two local ports of one cluster, one worker, beside dpdk-testpmd
           (io) on the same ports; `omni-bench generate` sends into one all it can and counts
           what comes out of the other
  --kind K,K  memif,vhost,af_xdp,tap"""


class Memif:
    def gateway(self, lab, i):
        return {"driver": "memif", "socket": lab.path(f"memif{i}.sock"), "role": "server"}

    def testpmd(self, lab, i):
        return f"net_memif{i},role=server,socket={lab.path(f'memif{i}.sock')},socket-abstract=no"

    def far(self, lab, i):
        return f"driver=memif,socket={lab.path(f'memif{i}.sock')},role=client"

    def prepare(self, lab, ns):
        pass


class Vhost(Memif):
    def gateway(self, lab, i):
        return {"driver": "vhost", "socket": lab.path(f"vhost{i}.sock"), "role": "server"}

    def testpmd(self, lab, i):
        return f"net_vhost{i},iface={lab.path(f'vhost{i}.sock')}"

    def far(self, lab, i):
        return f"driver=virtio-user,socket={lab.path(f'vhost{i}.sock')}"


class AfXdp(Memif):
    """One queue: DPDK's driver takes no more on veth."""

    def gateway(self, lab, i):
        return {"driver": "af_xdp", "interface": f"d{i}"}

    def testpmd(self, lab, i):
        return f"net_af_xdp{i},iface=d{i}"

    def far(self, lab, i):
        return f"driver=af_xdp,interface=g{i}"

    def prepare(self, lab, ns):
        for i in range(2):
            lab.veth((ns, f"d{i}", None), (ns, f"g{i}", None), queues=1)
            for name in ("d", "g"):
                lab.offloads(ns, f"{name}{i}", False)
                ip("-n", ns, "link", "set", f"{name}{i}", "promisc", "on")


class Tap(Memif):
    """The generator is at the kernel's side, over AF_XDP."""

    def gateway(self, lab, i):
        return {"driver": "tap", "interface": f"dut{i}", "address": "none"}

    def testpmd(self, lab, i):
        return f"net_tap{i},iface=dut{i}"

    def far(self, lab, i):
        return f"driver=af_xdp,interface=dut{i}"


KINDS = {"memif": Memif, "vhost": Vhost, "af_xdp": AfXdp, "tap": Tap}


def options(ap):
    ap.add_argument("--kind", type=lambda t: t.split(","), default=tuple(KINDS))
    ap.add_argument("--size", type=lambda t: [int(x) for x in t.split(",")])


def start_gateway(lab, ns, kind):
    gw = Gateway(lab, "gw", ns, "0@(0-1),1@0")
    ports = {f"port{i}": kind.gateway(lab, i) for i in range(2)}
    ports["uplink0"] = {"driver": "null"}
    underlay = {"port": "uplink0", "address": "192.0.2.1/24",
                "next-hop": {"mac": "02:00:00:00:00:01"}}
    gw.start(gw.config(ports, underlay, ["port0", "port1"], None, idle="poll", open=True))
    return gw.ready()


def start_reference(lab, ns, kind):
    """A forwarding lcore on CPU 0, the main one on either."""
    vdevs = [x for i in range(2) for x in ("--vdev", kind.testpmd(lab, i))]
    p = lab.start(ns, ["dpdk-testpmd", "--lcores", "0@(0-1),1@0", *EAL, "--file-prefix",
                       f"{lab.prefix}io", *vdevs, "--", "--total-num-mbufs=32768", "--auto-start",
                       "--forward-mode=io", "--stats-period=1"], "testpmd")
    until("dpdk-testpmd", 15, lambda: "Rx-pps" in p.text() or not p.running())
    if not p.running():
        raise BenchError(f"dpdk-testpmd: {p.tail(3)}")


def parse_generate(text):
    """(Mpps that arrived, per cent of what was sent that did not) of one run."""
    try:
        way = json.loads(text)["trials"][0]["directions"][0]
        return way["delivered_pps"] / 1e6, 100 * way["loss"]
    except (ValueError, KeyError, IndexError):
        raise BenchError(f"omni-bench generate: {text[-160:]!r}") from None


def generate(lab, ns, kind, size, seconds):
    p = inside(ns, program("bench"), "-l", "1", "--", "generate", "--tx", kind.far(lab, 0), "--rx",
               kind.far(lab, 1), "--rate", "max", "--size", str(size), "--duration", str(seconds),
               "--json", timeout=seconds + 30)
    if p.returncode != 0:
        raise BenchError(f"omni-bench generate: {p.stderr.strip()[-160:]}")
    return parse_generate(p.stdout)[0]


def once(kind, start, size, seconds):
    """Mpps through what start() starts; or why not."""
    with Lab() as lab:
        try:
            if not lab.pages(PAGES):
                raise BenchError(f"the kernel gives no {PAGES} hugepages of 2 MB")
            ns = lab.space("p")
            kind.prepare(lab, ns)
            start(lab, ns, kind)
            if isinstance(kind, Tap):
                for i in range(2):
                    ip("-n", ns, "link", "set", f"dut{i}", "up", "promisc", "on")
            return generate(lab, ns, kind, size, seconds), None
        except (BenchError, RigError, RpcError, TopoError, OSError) as e:
            return None, str(e).replace("\n", " ")[-160:]


def run(opts, report):
    if shutil.which("dpdk-testpmd") is None:
        raise BenchError("dpdk-testpmd is missing (package dpdk-dev)")
    seconds = 2 if opts.quick else 4
    for name in opts.kind:
        kind = KINDS[name]()
        for size in opts.size or (SIZES[:1] if opts.quick else SIZES):
            subject = f"{name}, {size} B"
            if not wanted(opts, subject):
                continue
            found, reasons = {"gateway": [], "testpmd": []}, []
            for i in range(opts.runs):
                for who, start in (("testpmd", start_reference), ("gateway", start_gateway)):
                    say(f"ports: {name}, {size} B, {who}, run {i + 1} of {opts.runs}")
                    value, why = once(kind, start, size, seconds)
                    found[who].append(value)
                    if why and f"{who}: {why}" not in reasons:
                        reasons.append(f"{who}: {why}")
            said = ["; ".join(f"{w}: " + " ".join("-" if v is None else f"{v:.2f}" for v in vs)
                              for w, vs in found.items())] + reasons
            report.add(subject, "testpmd", found["testpmd"], "Mpps")
            report.add(subject, "gateway", found["gateway"], "Mpps",
                       median(found["testpmd"]), ". ".join(said))
    report.note(f"{opts.runs} starts of both programs for each row, medians, all of them in the"
                " note; in brackets the ratio of the gateway to dpdk-testpmd. Frames go one way, as"
                " many as the generator can send, and are counted where they come out")
    report.note("one forwarding core (CPU 0) and one generating core (CPU 1); both control threads"
                " on either; the gateway polls, learns and looks up, testpmd (io) does not look at"
                " the frames")
