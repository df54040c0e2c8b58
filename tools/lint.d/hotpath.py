# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks that code which runs on workers never logs, allocates, locks or enters the kernel.

That code is *_dp.c, and all of lib/node but *_ctl.c. Reads file names from stdin.
"""

import re
import sys

BANNED = {
    "logs": "omni_log\\w* rte_log rte_vlog RTE_LOG\\w* syslog v?[fsd]?printf perror puts fputs"
    " fwrite",
    "allocates": "malloc calloc realloc reallocarray aligned_alloc posix_memalign free strdup"
    " strndup asprintf rte_malloc\\w* rte_zmalloc\\w* rte_calloc\\w* rte_realloc\\w* rte_free"
    " rte_memzone_reserve\\w* rte_mempool_create\\w* rte_pktmbuf_pool_create\\w* mmap munmap brk",
    "locks": "pthread_\\w+ rte_spinlock_\\w+ rte_rwlock_\\w+ rte_ticketlock_\\w+ rte_mcslock_\\w+"
    " mtx_\\w+ sem_\\w+",
    "enters the kernel": "read write readv writev pread pwrite ioctl fcntl send sendto sendmsg"
    " sendmmsg recv recvfrom recvmsg recvmmsg poll ppoll select pselect epoll_\\w+ open openat"
    " close socket bind connect accept usleep nanosleep clock_nanosleep sleep sched_yield"
    " clock_gettime gettimeofday time getrandom rte_delay_us_sleep eventfd_write eventfd_read"
    " rte_epoll_wait syscall fopen fclose exit abort",
}

# What a file must do all the same, and why.
EXCEPTIONS = {
    # Workers sleep when their ports are empty, and ring each other's eventfd.
    "lib/node/idle.c": "read write poll ppoll epoll_\\w+ rte_epoll_wait eventfd_\\w+",
    "lib/node/wake.c": "write eventfd_write",
}

# Ports on descriptors live from system calls: one a burst is their job.
DRIVERS_MAY = "enters the kernel"

NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def calls(names):
    # Not a member (.free, ->free), and not the file's own static function of that name.
    return re.compile(r"(?<![\w.>])(" + "|".join(names.split()) + r")\s*\(")


def strip(text):
    """The text without comments and literals, line numbers kept."""
    return NOISE.sub(lambda m: "\n" * m.group().count("\n"), text)


def on_worker(path):
    if path.startswith("lib/node/"):
        return not path.endswith("_ctl.c")
    return path.endswith("_dp.c")


def check(path):
    with open(path, encoding="utf-8") as f:
        text = strip(f.read())
    own = set(re.findall(r"^static[^;={]*?\b(\w+)\(", text, re.M))
    excepted = re.compile("|".join(EXCEPTIONS.get(path, "").split()) or "(?!)")
    for kind, names in BANNED.items():
        if path.startswith("drivers/") and kind == DRIVERS_MAY:
            continue
        for m in calls(names).finditer(text):
            if m.group(1) in own or excepted.fullmatch(m.group(1)):
                continue
            line = text.count("\n", 0, m.start()) + 1
            yield f"{path}:{line}: {m.group(1)}() {kind}, and this runs on workers"


def main():
    faults = [f for p in sys.stdin.read().split() if on_worker(p) for f in check(p)]
    print("\n".join(faults))
    return 1 if faults else 0


sys.exit(main())
