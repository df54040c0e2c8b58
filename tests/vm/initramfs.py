#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes the memory image of a virtual machine that is a WireGuard peer: busybox, wg(8), and the
modules of a Debian kernel package that was unpacked to DIRECTORY.

    initramfs.py DIRECTORY IMAGE     prints the path of the kernel to boot

The machine takes command lines on its serial console. After each it says "@@STATUS".
"""
import glob
import gzip
import os
import re
import subprocess
import sys

MODULES = ["virtio_pci", "virtio_net", "wireguard"]
INIT = """#!/bin/sh
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
stty -echo -onlcr < /dev/ttyS0
exec < /dev/ttyS0 > /dev/ttyS0 2>&1
for module in $(cat /modules); do insmod /lib/modules/$module.ko; done
ip link set lo up
echo "@@ready"
while read -r line; do
	eval "$line"
	echo "@@$?"
done
poweroff -f
"""


def module_files(directory):
    """{name: path} of a kernel package's modules; names as the kernel writes them."""
    return {os.path.basename(p)[:-3].replace("-", "_"): p for p in
            glob.glob(os.path.join(directory, "lib/modules/*/kernel/**/*.ko"), recursive=True)}


def in_order(names, files, done):
    """The modules with those that they need, each after what it needs."""
    for name in names:
        name = name.replace("-", "_")
        if name in done or name not in files:
            continue
        said = subprocess.run(["/sbin/modinfo", "-F", "depends", files[name]], check=True,
                              capture_output=True, text=True).stdout.strip()
        in_order([n for n in said.split(",") if n], files, done)
        done.append(name)
    return done


def libraries(program):
    """Shared objects that a program needs, the loader among them."""
    said = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", said)


class Cpio:
    """An archive in the form that the kernel unpacks ("newc")."""

    def __init__(self):
        self.parts = []
        self.folders = set()

    def entry(self, name, mode, data=b""):
        raw = name.encode() + b"\0"
        fields = [len(self.parts), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0]
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        self.parts.append(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    def folder(self, name):
        if name and name not in self.folders:
            self.folder(os.path.dirname(name))
            self.folders.add(name)
            self.entry(name, 0o040755)

    def file(self, name, data, mode=0o755):
        self.folder(os.path.dirname(name))
        self.entry(name, 0o100000 | mode, data)

    def copy(self, path, name=None):
        with open(path, "rb") as f:
            self.file((name or path).lstrip("/"), f.read())

    def write(self, path):
        self.entry("TRAILER!!!", 0)
        with gzip.open(path, "wb", compresslevel=1) as f:
            f.write(b"".join(self.parts))


def make(directory, image):
    archive = Cpio()
    files = module_files(directory)
    order = in_order(MODULES, files, [])
    for name in order:
        archive.copy(files[name], f"lib/modules/{name}.ko")
    archive.file("modules", "\n".join(order).encode())
    archive.file("init", INIT.encode())
    archive.copy("/bin/busybox", "bin/busybox")
    applets = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True,
                             text=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            archive.entry(f"bin/{applet}", 0o120777, b"/bin/busybox")
    for path in ["/usr/bin/wg", *libraries("/usr/bin/wg")]:
        archive.copy(path)
    for folder in ("proc", "sys", "dev", "tmp", "sbin", "usr/sbin", "etc"):
        archive.folder(folder)
    archive.write(image)
    return glob.glob(os.path.join(directory, "boot/vmlinuz-*"))[0]


if __name__ == "__main__":
    print(make(sys.argv[1], sys.argv[2]))
