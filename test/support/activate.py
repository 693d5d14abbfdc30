"""Starts a command as systemd starts a service, `activate.py FOLDER HOW COMMAND...`: with a socket as descriptor 3, and
somewhere to say how it is. What it says there is printed by a process of its own, `notified: ...`.

HOW is what socket it gets: unix is as it should be; two, datagram, inet, connected and abstract are wrong; none and other
are none, or one for another process.
"""

import ctypes
import os
import select
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1

folder, how, command = sys.argv[1], sys.argv[2], sys.argv[3:]
path = os.path.join(folder, "host.sock")


def opened():
    if how == "inet":
        return socket.create_server(("127.0.0.1", 0))
    if how == "connected":
        mine, opened.other = socket.socketpair()
        return mine
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if how == "datagram" else socket.SOCK_STREAM)
    made.bind("\0tokenkeep-%d" % os.getpid() if how == "abstract" else path)
    if how != "datagram":
        made.listen(8)
    return made


given = opened().detach() if how != "none" else None
notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
# Both kinds of name that systemd uses.
name = os.path.join(folder, "notify") if how == "other" else "@tokenkeep-notify-%d" % os.getpid()
notifications.bind(name.replace("@", "\0"))


def hear():
    # The end of the service waits until all that it said has been heard: a handler could come between hearing and saying.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    while True:
        is_over = signal.SIGTERM in signal.sigpending()
        while select.select([notifications], [], [], 0 if is_over else 0.02)[0]:
            print("notified: " + notifications.recv(4096).decode(), flush=True)
        if is_over:
            os._exit(0)


if os.fork() == 0:
    hear()

notifications.close()
environment = dict(os.environ, NOTIFY_SOCKET=name)
if given is not None:
    if given != 3:
        os.dup2(given, 3)
    os.set_inheritable(3, True)
    environment["LISTEN_PID"] = "1" if how == "other" else str(os.getpid())
    environment["LISTEN_FDS"] = "2" if how == "two" else "1"
    environment["LISTEN_FDNAMES"] = "host"
os.execvpe(command[0], command, environment)
