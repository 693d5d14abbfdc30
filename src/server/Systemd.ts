/**
 * A server under systemd: the socket that it was given at its start (sd_listen_fds(3)), and how it says that it is ready
 * or about to end (sd_notify(3)). Without systemd there is no socket, and nothing is said.
 */
import { env, pid } from "node:process"
import { Config, Data, Effect, Option, Schedule } from "effect"
import * as CLibrary from "../system/CLibrary.ts"

/** What systemd gave this process is not what it needs. */
export class SocketNotUsable extends Data.TaggedError("SocketNotUsable")<{ readonly why: string }> {
  override get message(): string {
    return `systemd started this with ${this.why}. The .socket unit needs one line, ListenStream= with an absolute path.`
  }
}

/** A socket that listens already. */
export interface Inherited {
  readonly descriptor: number
  /** Where it is bound. */
  readonly path: string
}

/** systemd numbers what it passes from here. */
const firstDescriptor = 3

// <asm-generic/socket.h> and <sys/socket.h> of Linux.
const SOL_SOCKET = 1
const SO_TYPE = 3
const SO_ACCEPTCONN = 30
const SO_DOMAIN = 39
const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000

/** The variables of a service, which are for this process and for none that it starts. */
const variables = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES", "NOTIFY_SOCKET"] as const

const optional = (name: (typeof variables)[number]) =>
  Config.map(Config.option(Config.String(name)), (value) => Option.filter(value, (text) => text !== ""))
const given = Config.all({
  count: optional("LISTEN_FDS"),
  forProcess: optional("LISTEN_PID"),
  notifySocket: optional("NOTIFY_SOCKET"),
})

/** Takes what systemd has for this process, once: the socket if there is one, and a way to be heard. */
export const take = Effect.gen(function* () {
  const { count, forProcess, notifySocket } = yield* given
  yield* Effect.sync(() => variables.forEach((name) => delete env[name]))
  const isOurs = Option.contains(forProcess, String(pid))
  const inherited = isOurs
    ? yield* Option.match(count, { onNone: () => Effect.succeedNone, onSome: check })
    : Option.none()
  return {
    inherited,
    /** Tells systemd, if it listens. That it could not be told is no failure of ours. */
    notify: (state: "READY=1" | "STOPPING=1") =>
      Option.match(notifySocket, { onNone: () => Effect.void, onSome: (address) => send(address, state) }),
  }
})

/** Whether what was passed is one Unix socket that listens, and where. */
const check = Effect.fnUntraced(function* (count: string) {
  if (count === "0") return Option.none<Inherited>()
  if (count !== "1") {
    const why = /^\d{1,9}$/.test(count) ? `${count} sockets instead of one` : "a LISTEN_FDS that is no number"
    return yield* new SocketNotUsable({ why })
  }
  const { library } = yield* CLibrary.open
  const getsockopt = library.func(
    "int getsockopt(int fd, int level, int name, _Out_ int32_t *value, _Inout_ uint32_t *length)",
  )
  const getsockname = library.func("int getsockname(int fd, _Out_ void *address, _Inout_ uint32_t *length)")
  const hasOption = (name: number, expected: number) => {
    const value = [-1]
    return getsockopt(firstDescriptor, SOL_SOCKET, name, value, [4]) === 0 && value[0] === expected
  }
  if (!hasOption(SO_DOMAIN, AF_UNIX)) return yield* new SocketNotUsable({ why: "something that is no Unix socket" })
  if (!hasOption(SO_TYPE, SOCK_STREAM)) return yield* new SocketNotUsable({ why: "a Unix socket that is no stream" })
  if (!hasOption(SO_ACCEPTCONN, 1)) {
    return yield* new SocketNotUsable({ why: "a connection instead of a socket that listens (Accept= must be no)" })
  }
  const address = Buffer.alloc(addressLength)
  const length = [address.byteLength]
  getsockname(firstDescriptor, address, length)
  const [path = ""] = address.toString("utf8", familyLength, length[0]).split("\0")
  if (!path.startsWith("/")) return yield* new SocketNotUsable({ why: "a socket without a path" })
  return Option.some<Inherited>({ descriptor: firstDescriptor, path })
})

/** `struct sockaddr_un`: the family, then a path, or a zero and an abstract name. */
const familyLength = 2
const addressLength = 110

const addressOf = (name: string): Option.Option<Uint8Array> => {
  if (!/^[/@]./.test(name)) return Option.none()
  const path = Buffer.from(name.startsWith("@") ? `\0${name.slice(1)}` : `${name}\0`)
  if (familyLength + path.byteLength > addressLength) return Option.none()
  return Option.some(Buffer.concat([Buffer.from(Uint16Array.of(AF_UNIX).buffer), path]))
}

/** For as long as systemd may take to read what others sent before. */
const patience = Schedule.upTo(Schedule.spaced("50 millis"), { times: 20 })

const send = Effect.fnUntraced(
  function* (name: string, state: string) {
    const address = addressOf(name)
    if (Option.isNone(address)) return yield* new NotHeard({ why: "its NOTIFY_SOCKET is no path and no name with @" })
    const { errno, errnos, library } = yield* CLibrary.open
    const socket = library.func("int socket(int domain, int type, int protocol)")
    const sendto = library.func(
      "intptr_t sendto(int fd, const void *data, size_t size, int flags, const void *address, uint32_t length)",
    )
    const close = library.func("int close(int fd)")
    const bytes = new TextEncoder().encode(state)
    yield* Effect.scoped(
      Effect.gen(function* () {
        const descriptor = yield* Effect.acquireRelease(
          Effect.sync((): number => socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
          (descriptor) => Effect.sync(() => close(descriptor)),
        )
        yield* Effect.suspend(() => {
          const flags = MSG_DONTWAIT | MSG_NOSIGNAL
          const sent = sendto(descriptor, bytes, bytes.byteLength, flags, address.value, address.value.byteLength)
          return Number(sent) === bytes.byteLength
            ? Effect.void
            : new NotHeard({ why: `error ${errno()} of the system`, isBusy: errno() === errnos.EAGAIN })
        }).pipe(Effect.retry({ schedule: patience, while: ({ isBusy }) => isBusy === true }))
      }),
    )
  },
  Effect.catchTag("NotHeard", ({ why }) => Effect.logWarning(`systemd could not be told how this server is: ${why}.`)),
)

class NotHeard extends Data.TaggedError("NotHeard")<{ readonly why: string; readonly isBusy?: boolean }> {}
