#!/usr/bin/env python3
"""A client of the wire in another language, written from the protocol's description and from nothing else.

Standard library only. It is strict: whatever the server says that the description does not allow is a `Violation`.

As a program it reads lines of JSON, `{"op", "payload"?, "id"?, "v"?}`, from stdin and prints each reply as a line of JSON,
the handshake's first. It reads the environment: TOKENKEEP_SOCKET is a path or tcp://127.0.0.1:PORT; the capability, if there
is one, is in TOKENKEEP_CAPABILITY or behind the descriptor whose number is in TOKENKEEP_CAPABILITY_FD, never in an argument.

Exit codes: 0 every request was answered, 1 no connection, 2 usage, 3 the server closed first, 4 the handshake was refused,
5 the server broke the protocol, 6 no answer in time.
"""

import argparse
import json
import os
import socket
import struct
import sys
import time

LARGEST_FRAME = 65_536
VERSIONS = (1, 2)

CODES = frozenset(
    """INVALID_REQUEST UNAUTHORIZED FORBIDDEN NOT_FOUND PROVIDER_NOT_CONFIGURED PROVIDER_NOT_FOUND FLOW_INITIATION_FAILED
    EXCHANGE_FAILED POLL_FAILED SESSION_NOT_FOUND SESSION_ALREADY_USED SESSION_EXPIRED ACCESS_DENIED REFRESH_NOT_AVAILABLE
    REFRESH_FAILED REAUTH_REQUIRED RATE_LIMITED CANCELLED INTERNAL_ERROR UNKNOWN_VERSION""".split()
)
HANDSHAKE_CODES = frozenset(("UNKNOWN_VERSION", "UNAUTHORIZED"))
# What must never leave the host, under any name that it might have.
NEVER = frozenset(("refresh_token", "code_verifier", "verifier", "code_challenge", "state", "device_code", "client_secret"))


class Violation(Exception):
    """The server did what the protocol does not allow."""


class Closed(Exception):
    """The server closed the connection."""


class Refused(Exception):
    """The handshake was answered with an error."""

    def __init__(self, reply):
        super().__init__(reply["code"])
        self.reply = reply


class Failed(Exception):
    """A request was answered with an error."""

    def __init__(self, reply):
        super().__init__("%s: %s" % (reply["code"], reply["error"]))
        self.code = reply["code"]
        self.retry_after = reply.get("retryAfter")


def require(holds, what, frame):
    if not holds:
        raise Violation("%s: %s" % (what, json.dumps(frame)[:2000]))


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_text(value):
    return isinstance(value, str)


def is_names(value):
    return isinstance(value, list) and all(map(is_text, value))


def is_empty(value):
    return value == {}


def is_public_token(data):
    return (
        is_text(data.get("access_token"))
        and is_int(data.get("expiry"))
        and is_text(data.get("token_type"))
        and is_text(data.get("scope", ""))
    )


def is_started(data):
    required = {"session_id": is_text, "flow_type": is_text, "auth_url": is_text, "pollIntervalMs": is_number, "expiresIn": is_number}
    if not all(check(data.get(name)) for name, check in required.items()):
        return False
    if len(data["session_id"]) != 32 or any(c not in "0123456789abcdef" for c in data["session_id"]):
        return False
    if data["flow_type"] == "device_code":
        return is_text(data.get("user_code")) and is_text(data.get("verification_uri")) and data["verification_uri"] == data.get("verification_url")
    return data["flow_type"] in ("pkce_redirect", "browser_redirect")


def is_polled(data):
    if data.get("status") == "pending":
        return is_number(data.get("pollIntervalMs")) and is_number(data.get("interval"))
    return data.get("status") == "complete" and isinstance(data.get("token"), dict) and is_public_token(data["token"])


def is_statistics(data):
    return is_text(data.get("bucket")) and is_int(data.get("requestCount")) and is_number(data.get("percentage"))


SHAPES = {
    "get_token": is_public_token,
    "refresh_token": is_public_token,
    "save_token": is_empty,
    "remove_token": is_empty,
    "list_providers": lambda data: is_names(data.get("providers")),
    "list_buckets": lambda data: is_names(data.get("buckets")),
    "get_bucket_stats": is_statistics,
    "get_api_key": lambda data: is_text(data.get("key")),
    "has_api_key": lambda data: isinstance(data.get("exists"), bool),
    "list_api_keys": lambda data: is_names(data.get("keys")),
    "oauth_initiate": is_started,
    "oauth_exchange": is_public_token,
    "oauth_poll": is_polled,
    "oauth_cancel": is_empty,
    "cancel": is_empty,
}


def names_in(value):
    """Every field name in a value, however deep."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from names_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from names_in(inner)


def check_reply(reply, is_handshake):
    """Holds a reply against the description. What it says about one operation is for `check_data`."""
    fields = {"v", "op" if is_handshake else "id", "ok"}
    require(isinstance(reply.get("ok"), bool), "ok is no boolean", reply)
    require(reply.get("v") in VERSIONS and is_int(reply["v"]), "v is no version", reply)
    if is_handshake:
        require(reply.get("op") == "handshake", "no answer to the handshake", reply)
    else:
        require(is_text(reply.get("id")), "no id", reply)
    if reply["ok"]:
        fields |= {"data"}
        require(isinstance(reply.get("data"), dict), "data is no object", reply)
        require(not NEVER.intersection(names_in(reply["data"])), "a secret", list(names_in(reply["data"])))
    else:
        fields |= {"code", "error"}
        require(reply.get("code") in (HANDSHAKE_CODES if is_handshake else CODES), "unknown code", reply)
        require(is_text(reply.get("error")) and reply["error"] != "", "no sentence", reply)
        if not is_handshake and "retryAfter" in reply:
            fields |= {"retryAfter"}
            require(is_number(reply["retryAfter"]) and reply["retryAfter"] >= 0, "retryAfter is no delay", reply)
        require(reply["code"] != "RATE_LIMITED" or "retryAfter" in reply, "RATE_LIMITED without retryAfter", reply)
    require(set(reply) == fields, "other fields than described", reply)


def check_data(op, reply):
    if reply["ok"] and op in SHAPES:
        require(SHAPES[op](reply["data"]), "not the data of %s" % op, reply)


def encode(frame):
    body = json.dumps(frame, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    if len(body) > LARGEST_FRAME:
        raise ValueError("a frame of %d bytes is too large" % len(body))
    return struct.pack(">I", len(body)) + body


def unique(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Violation("a field twice: %s" % [name for name, _ in pairs])
    return found


def connect(address, timeout):
    if address.startswith("tcp://"):
        host, _, port = address[len("tcp://") :].rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    connection.connect(address)
    return connection


def capability_of(environment):
    """The descriptor goes before the variable: programs that are started later do not inherit what was read from it."""
    number = environment.pop("TOKENKEEP_CAPABILITY_FD", None)
    text = environment.pop("TOKENKEEP_CAPABILITY", None)
    if number is not None:
        with os.fdopen(int(number), "r", encoding="utf-8") as source:
            try:
                # Others share the place that has been read to.
                text = os.pread(source.fileno(), 4096, 0).decode("utf-8")
            except OSError:
                text = source.read()
    return None if text is None else text.rstrip("\r\n")


class Connection:
    """One connection. Requests may be under way together; `reply` waits for one of them, whatever the order they are answered in."""

    def __init__(self, address, timeout=10.0):
        self.timeout = timeout
        self.socket = connect(address, timeout)
        self.received = bytearray()
        self.replies = {}
        self.asked = {}
        self.version = None
        self.last_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Closed(str(error)) from error

    def read_frame(self, deadline=None):
        deadline = deadline if deadline is not None else time.monotonic() + self.timeout
        while True:
            if len(self.received) >= 4:
                (length,) = struct.unpack_from(">I", self.received)
                if length > LARGEST_FRAME:
                    raise Violation("a frame of %d bytes" % length)
                if len(self.received) >= 4 + length:
                    body = bytes(self.received[4 : 4 + length])
                    del self.received[: 4 + length]
                    try:
                        frame = json.loads(body.decode("utf-8"), object_pairs_hook=unique)
                    except ValueError as error:
                        raise Violation("not JSON: %r" % body) from error
                    if not isinstance(frame, dict):
                        raise Violation("not an object: %r" % body)
                    return frame
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("nothing was said for %g s" % self.timeout)
            self.socket.settimeout(remaining)
            try:
                chunk = self.socket.recv(65_536)
            except ConnectionResetError as error:
                raise Closed(str(error)) from error
            if not chunk:
                if self.received:
                    raise Violation("closed in the middle of a frame")
                raise Closed("closed by the server")
            self.received += chunk

    def handshake(self, capability=None, lowest=1, highest=2, version=1):
        payload = {"minVersion": lowest, "maxVersion": highest}
        if capability is not None:
            payload["capabilityToken"] = capability
        self.send(encode({"v": version, "op": "handshake", "payload": payload}))
        reply = self.read_frame()
        check_reply(reply, is_handshake=True)
        if not reply["ok"]:
            raise Refused(reply)
        self.version = reply["data"].get("version")
        require(self.version == max(v for v in VERSIONS if lowest <= v <= highest), "not the highest version of both", reply)
        return reply

    def request(self, op, payload=None, request_id=None, version=None):
        """The bytes of a request that is now expected to be answered, and its id."""
        if request_id is None:
            self.last_id += 1
            request_id = str(self.last_id)
        self.asked[request_id] = op
        frame = {"v": self.version if version is None else version, "id": request_id, "op": op, "payload": {} if payload is None else payload}
        return encode(frame), request_id

    def next_reply(self, deadline=None):
        """The next reply, to whichever request."""
        reply = self.read_frame(deadline)
        check_reply(reply, is_handshake=False)
        require(reply["v"] == self.version, "another version than was agreed on", reply)
        require(reply["id"] in self.asked, "a reply to nothing that was asked", reply)
        check_data(self.asked.pop(reply["id"]), reply)
        return reply

    def reply(self, request_id):
        while request_id not in self.replies:
            reply = self.next_reply()
            self.replies[reply["id"]] = reply
        return self.replies.pop(request_id)

    def ask(self, op, **payload):
        data, request_id = self.request(op, {name: value for name, value in payload.items() if value is not None})
        self.send(data)
        reply = self.reply(request_id)
        if not reply["ok"]:
            raise Failed(reply)
        return reply["data"]

    def get_token(self, provider, bucket=None):
        return self.ask("get_token", provider=provider, bucket=bucket)

    def refresh_token(self, provider, bucket=None):
        return self.ask("refresh_token", provider=provider, bucket=bucket)

    def save_token(self, provider, token, bucket=None):
        self.ask("save_token", provider=provider, bucket=bucket, token=token)

    def remove_token(self, provider, bucket=None):
        self.ask("remove_token", provider=provider, bucket=bucket)

    def list_providers(self):
        return self.ask("list_providers")["providers"]

    def list_buckets(self, provider):
        return self.ask("list_buckets", provider=provider)["buckets"]

    def get_bucket_stats(self, provider, bucket):
        return self.ask("get_bucket_stats", provider=provider, bucket=bucket)

    def get_api_key(self, name):
        return self.ask("get_api_key", name=name)["key"]

    def has_api_key(self, name):
        return self.ask("has_api_key", name=name)["exists"]

    def list_api_keys(self):
        return self.ask("list_api_keys")["keys"]

    def oauth_initiate(self, provider, bucket=None, redirect_uri=None):
        return self.ask("oauth_initiate", provider=provider, bucket=bucket, redirect_uri=redirect_uri)

    def oauth_exchange(self, session_id, code):
        return self.ask("oauth_exchange", session_id=session_id, code=code)

    def oauth_poll(self, session_id):
        return self.ask("oauth_poll", session_id=session_id)

    def oauth_cancel(self, session_id):
        self.ask("oauth_cancel", session_id=session_id)

    def cancel(self, request_id):
        if self.version < 2:
            raise ValueError("cancel is of version 2")
        self.ask("cancel", targetId=request_id)


def say(reply):
    print(json.dumps(reply), flush=True)


def lines():
    for line in sys.stdin:
        if line.strip():
            yield json.loads(line)


def run(options, connection, capability):
    timed = {}

    def answered(reply):
        began = timed.pop(reply.get("id"), None)
        say(reply if began is None or not options.timings else {**reply, "ms": round((time.monotonic() - began) * 1000, 3)})

    if not options.no_handshake:
        say(connection.handshake(capability, options.min, options.max, options.v))

    if options.raw is not None:
        connection.send(bytes.fromhex(options.raw))
        deadline = time.monotonic() + options.wait
        try:
            while True:
                say(connection.read_frame(deadline))
        except TimeoutError:
            return

    if options.pipeline:
        batch = []
        for line in lines():
            data, request_id = connection.request(line["op"], line.get("payload"), line.get("id"), line.get("v"))
            batch.append(data)
            timed[request_id] = time.monotonic()
        connection.send(b"".join(batch))
        if options.half_close:
            connection.socket.shutdown(socket.SHUT_WR)
        while connection.asked:
            answered(connection.next_reply())
        return

    for line in lines():
        data, request_id = connection.request(line["op"], line.get("payload"), line.get("id"), line.get("v"))
        timed[request_id] = time.monotonic()
        connection.send(data)
        answered(connection.reply(request_id))


def main():
    parser = argparse.ArgumentParser(description="Speaks to a tokenkeep host, line by line.")
    parser.add_argument("--min", type=int, default=1, help="lowest version to ask for")
    parser.add_argument("--max", type=int, default=2, help="highest version to ask for")
    parser.add_argument("--v", type=int, default=1, help="the v of the handshake itself")
    parser.add_argument("--no-handshake", action="store_true", help="begin with what comes next")
    parser.add_argument("--pipeline", action="store_true", help="send all lines in one write, print replies as they come")
    parser.add_argument("--half-close", action="store_true", help="with --pipeline: say that nothing more will be sent")
    parser.add_argument("--timings", action="store_true", help="add to each reply how many ms it took")
    parser.add_argument("--raw", metavar="HEX", help="send these bytes instead of lines, and print every frame that comes")
    parser.add_argument("--wait", type=float, default=1.0, help="with --raw: for how many seconds")
    parser.add_argument("--timeout", type=float, default=10.0, help="how many seconds a reply may take")
    options = parser.parse_args()
    address = os.environ.get("TOKENKEEP_SOCKET")
    if not address:
        parser.error("TOKENKEEP_SOCKET says where the host is; it is not set")
    capability = capability_of(os.environ)
    try:
        connection = Connection(address, options.timeout)
    except OSError as error:
        print("no connection to %s: %s" % (address, error), file=sys.stderr)
        return 1
    began = time.monotonic()
    with connection:
        try:
            run(options, connection, capability)
        except Closed as error:
            print("closed after %.3f s: %s" % (time.monotonic() - began, error), file=sys.stderr)
            return 3
        except Refused as error:
            say(error.reply)
            try:
                connection.read_frame()
            except Closed:
                return 4
            print("refused, and then not closed", file=sys.stderr)
            return 5
        except Violation as error:
            print("not the protocol: %s" % error, file=sys.stderr)
            return 5
        except TimeoutError as error:
            print(error, file=sys.stderr)
            return 6
    return 0


if __name__ == "__main__":
    sys.exit(main())
