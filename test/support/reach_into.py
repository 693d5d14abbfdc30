"""Tries all that lets a program see into another process, `reach_into.py PID`, and prints what of it worked."""

import ctypes
import json
import os
import sys

PTRACE_ATTACH, PTRACE_DETACH = 16, 17
libc = ctypes.CDLL(None, use_errno=True)
pid = int(sys.argv[1])


def memory():
    with open("/proc/%d/maps" % pid) as maps:
        start = int(next(line for line in maps if " rw-p " in line).split("-")[0], 16)
    with open("/proc/%d/mem" % pid, "rb", 0) as mem:
        mem.seek(start)
        return mem.read(16)


def copied():
    """process_vm_readv(2), at an address that need not be known: a wrong one is EFAULT, and not EPERM."""
    here = ctypes.create_string_buffer(16)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(here), 16)
    there = (ctypes.c_void_p * 2)(0x1000, 16)
    if libc.process_vm_readv(pid, vector, 1, there, 1, 0) < 0 and ctypes.get_errno() != 14:
        raise PermissionError()
    return True


def traced():
    if libc.ptrace(PTRACE_ATTACH, pid, None, None) != 0:
        raise PermissionError()
    os.waitpid(pid, 0x40000000)
    libc.ptrace(PTRACE_DETACH, pid, None, None)
    return True


def read(name):
    with open("/proc/%d/%s" % (pid, name), "rb") as file:
        return file.read(1)


ways = {
    "mem": memory,
    "process_vm_readv": copied,
    "ptrace": traced,
    "environ": lambda: read("environ"),
    "auxv": lambda: read("auxv"),
    "maps": lambda: read("maps"),
    "fd": lambda: os.listdir("/proc/%d/fd" % pid),
    "cwd": lambda: os.readlink("/proc/%d/cwd" % pid),
}


def works(way):
    try:
        return bool(way())
    except OSError:
        return False


print(json.dumps({"uid": os.getuid(), "worked": [name for name, way in ways.items() if works(way)]}))
