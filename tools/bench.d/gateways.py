# SPDX-License-Identifier: MIT OR Apache-2.0
"""Gateways for a measurement: their configuration, their start, what they say."""
import os
import subprocess
import tempfile

import yaml

from lab import BenchError, RigError, program, until
from rig import Identity, RpcError, rpc

CLUSTER = "bench"
UDP_PORT = 51820


class Gateway:
    """One dpdk-omni. `lcores` is EAL's mapping, control first."""

    def __init__(self, lab, name, ns, lcores):
        self.lab = lab
        self.name = name
        self.ns = ns
        self.lcores = lcores
        self.identity = Identity()
        self.socket = lab.path(f"{name}.sock")
        self.process = None

    def config(self, ports, underlay, local, peers, idle="adaptive", cipher="auto", **cluster):
        c = {"cipher": cipher, "ports": local, "peers": peers}
        c.update(cluster)
        return {"identity": self.identity.write(self.lab.path(f"{self.name}.key")),
                "workers": {"idle": idle}, "ports": ports, "underlay": underlay,
                "clusters": {CLUSTER: {k: v for k, v in c.items() if v is not None}},
                "management": {"socket": self.socket}}

    def start(self, config, eal=()):
        path = self.lab.path(f"{self.name}.yaml")
        with open(path, "w", encoding="utf-8") as f:
            yaml.safe_dump(config, f)
        self.process = self.lab.start(
            self.ns, [program("gateway"), "--lcores", self.lcores, *eal, "--", "-c", path],
            self.name)
        return self

    def ready(self, seconds=20):
        def answers():
            if not self.process.running():
                raise BenchError(f"gateway {self.name} ended:\n{self.process.tail()}")
            return self.rpc("version")
        wait(f"gateway {self.name}", seconds, answers)
        return self

    def stop(self):
        self.lab.stop([self.process])

    def rpc(self, method, params=None):
        return rpc(self.socket, method, params)

    def wait_peer(self, seconds=15):
        wait(f"a session of {self.name}", seconds,
             lambda: any(p["state"] == "up" for p in self.rpc("peers")))

    def port(self, name):
        return next(p for p in self.rpc("ports") if p["name"] == name)

    def stages(self):
        """{stage: (frames, cycles)} since start."""
        return {s["stage"]: (s["frames"], s["frames"] * s["cycles_per_frame"])
                for s in self.rpc("stages")}

    def cipher(self):
        return next((s["cipher"] for s in self.rpc("sessions") if s["slot"] == "current"), "none")


def wait(what, seconds, check):
    try:
        return until(what, seconds, check)
    except RigError as e:
        raise BenchError(str(e)) from None


def peer(other, endpoint, vip=None, **more):
    """How `other` stands in a configuration."""
    p = {"key": other.identity.key, "endpoint": f"{endpoint}:{UDP_PORT}", **more}
    return dict(p, vip=vip) if vip else p


def refused(ports, underlay):
    """Why this build does not take such an uplink; None where it does."""
    with tempfile.TemporaryDirectory() as d:
        identity = Identity().write(os.path.join(d, "key"))
        path = os.path.join(d, "fleet.yaml")
        with open(path, "w", encoding="utf-8") as f:
            yaml.safe_dump({"identity": identity, "ports": ports, "underlay": underlay,
                            "clusters": {CLUSTER: {"open": True}}}, f)
        p = subprocess.run([program("gateway"), "--test", path], capture_output=True, text=True)
    return None if p.returncode == 0 else (p.stderr or p.stdout).strip().splitlines()[-1]


__all__ = ["CLUSTER", "UDP_PORT", "Gateway", "RpcError", "peer", "refused", "wait"]
