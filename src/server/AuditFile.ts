/**
 * The audit log in a folder: files of lines, named by the number of their first line, and a `head` that says where the
 * last writer has left off. Several processes append to one chain; the kernel's lock on the head keeps them apart.
 *
 * Lines are on the disk before the head speaks of them. So a head that knows more than there is means that lines were
 * removed, never that the power failed; and lines that the head does not know were written by somebody who then died.
 */
import { constants } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { Clock, Data, Duration, Effect, FileSystem, Option, Path, Schema } from "effect"
import * as AuditEntry from "../domain/AuditEntry.ts"
import { oneLine } from "../domain/RemoteText.ts"
import * as KernelLock from "../system/KernelLock.ts"
import * as PrivateFile from "../system/PrivateFile.ts"
import { ProcessId } from "../system/ProcessId.ts"
import { sha256 } from "../system/Sha256.ts"
import type { Block } from "./AuditBlock.ts"

/** The log could not be read or written. What is there was left as it is. */
export class AuditUnavailable extends Data.TaggedError("AuditUnavailable")<{
  readonly path: string
  readonly operation: "read" | "write"
  readonly isBusy: boolean
}> {
  override get message(): string {
    return this.isBusy
      ? `Could not ${this.operation} the audit log ${oneLine(this.path)}: another process keeps it locked. Look for a stopped tokenkeep.`
      : `Could not ${this.operation} the audit log ${oneLine(this.path)}. What is there was left as it is; check that the folder is yours, and not full.`
  }
}

export interface Options {
  readonly directory: string
  /** A file that has become so large is followed by the next; it may be larger by what is appended at once. */
  readonly maximumBytes: number
  /** How many files are kept, the newest included. */
  readonly keep: number
}

/** Lines that are made before others get a turn: about a fifth of a millisecond. */
const linesPerTurn = 256

/** The head is overwritten in place, always at the same length: that is one write, of one sector. */
const headLength = 256

const decodeHead = Schema.decodeUnknownOption(Schema.fromJsonString(AuditEntry.Head))

/** Where to write next, and what has to be said first of what was found. */
interface Place {
  readonly tip: AuditEntry.Tip
  /** None if there is no file. */
  readonly file: Option.Option<{ readonly name: string; readonly size: number }>
  readonly separator: "" | "\n"
  readonly notices: ReadonlyArray<AuditEntry.Event>
}

/** A file of the log as it was when it was looked at. */
export interface Part {
  readonly name: string
  readonly size: number
}

/** How long another process may write; it does so for milliseconds, unless it was stopped in the middle. */
const lockPatience = Duration.seconds(2)

/** What reading and writing have in common. */
const access = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const tryLock = yield* KernelLock.make(process.platform)
  const headPath = paths.join(directory, "head")

  const failed = (operation: "read" | "write", isBusy = false) =>
    new AuditUnavailable({ path: directory, operation, isBusy })
  const reading = Effect.mapError(() => failed("read"))

  const openHead = (operation: "read" | "write") =>
    Effect.tryPromise({
      // Not in append mode, in which a write goes to the end wherever it is aimed.
      try: () => open(headPath, operation === "read" ? "r" : constants.O_RDWR | constants.O_CREAT, 0o600),
      catch: () => failed(operation),
    })

  const obtain = Effect.fnUntraced(function* (handle: FileHandle, operation: "read" | "write") {
    const attempt = Effect.suspend(() => {
      const result = tryLock(handle.fd, operation === "read" ? "shared" : "exclusive")
      return result === "held" ? Effect.void : Effect.fail(failed(operation, result === "busy"))
    })
    yield* Effect.retry(attempt, { schedule: KernelLock.waiting(lockPatience), while: ({ isBusy }) => isBusy })
    const { nlink } = yield* Effect.promise(() => handle.stat())
    return nlink > 0
  })

  const withLock = <A>(
    operation: "read" | "write",
    work: (handle: FileHandle) => Effect.Effect<A, AuditUnavailable>,
  ): Effect.Effect<A, AuditUnavailable> =>
    Effect.acquireUseRelease(
      openHead(operation),
      (handle) =>
        Effect.flatMap(obtain(handle, operation), (isThere) =>
          isThere ? Effect.asSome(work(handle)) : Effect.succeedNone,
        ),
      (handle) => Effect.promise(() => handle.close()),
    ).pipe(
      // Somebody has removed it while we waited: we hold the lock of a file that nobody else can open.
      Effect.flatMap(
        Option.match({ onNone: () => Effect.suspend(() => withLock(operation, work)), onSome: Effect.succeed }),
      ),
    )

  const readHead = (handle: FileHandle) =>
    Effect.tryPromise({
      try: () => handle.read(Buffer.alloc(headLength), 0, headLength, 0),
      catch: () => failed("read"),
    }).pipe(Effect.map(({ buffer, bytesRead }) => decodeHead(buffer.toString("latin1", 0, bytesRead))))

  const parts: Effect.Effect<ReadonlyArray<Part>, AuditUnavailable> = fs.readDirectory(directory).pipe(
    Effect.map((names) => names.filter((name) => Option.isSome(AuditEntry.firstOf(name))).toSorted()),
    Effect.flatMap((names) =>
      Effect.forEach(names, (name) =>
        Effect.map(fs.stat(paths.join(directory, name)), ({ size }) => ({ name, size: Number(size) })),
      ),
    ),
    reading,
  )

  const read = ({ name, size }: Part): Effect.Effect<string, AuditUnavailable> =>
    fs.readFile(paths.join(directory, name)).pipe(
      Effect.map((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(size, bytes.byteLength))),
      Effect.map((bytes) => bytes.toString("latin1")),
      reading,
    )

  return { failed, headPath, parts, read, readHead, reading, withLock }
})

/** Reads the log in a folder, while others may write to it. */
export const reader = Effect.fnUntraced(function* (directory: string) {
  const fs = yield* FileSystem.FileSystem
  const { headPath, parts, read, readHead, reading, withLock } = yield* access(directory)
  return {
    /** What there is, at one moment: files from the oldest to the newest, and the head. */
    look: Effect.gen(function* () {
      if (!(yield* reading(fs.exists(directory)))) return { head: Option.none(), parts: [] }
      if (!(yield* reading(fs.exists(headPath)))) return { head: Option.none(), parts: yield* parts }
      return yield* withLock("read", (handle) => Effect.all({ head: readHead(handle), parts }))
    }),

    /** The text of a file, each byte as one character. */
    read,
  }
})

/** Where a log ends that is not as its last writer has noted. */
const recover = (newest: Part, content: string, known: AuditEntry.Head | undefined): Place => {
  const lines = content.split("\n")
  const claims = lines.map(AuditEntry.claimOf)
  const last = claims.findLastIndex(Option.isSome)
  const found: AuditEntry.Tip = Option.getOrElse(claims[last] ?? Option.none(), () => ({
    ...AuditEntry.origin,
    seq: Option.getOrElse(AuditEntry.firstOf(newest.name), () => 1) - 1,
  }))
  const place = { file: Option.some(newest), separator: content.endsWith("\n") ? "" : "\n" } as const
  const rest = content.endsWith("\n") ? "" : lines.slice(last + 1).join("\n")
  if (known !== undefined && known.seq > found.seq) {
    const cut: AuditEntry.Event = { event: "cut", from: found.seq + 1, to: known.seq }
    return { ...place, tip: { seq: known.seq, hash: found.hash }, notices: [cut] }
  }
  const torn: ReadonlyArray<AuditEntry.Event> =
    rest === "" ? [] : [{ event: "torn", bytes: rest.length, sha256: sha256(rest) }]
  const cut: ReadonlyArray<AuditEntry.Event> = known === undefined ? [{ event: "cut", from: found.seq + 1 }] : []
  return { ...place, tip: { seq: found.seq, hash: found.hash }, notices: [...torn, ...cut] }
}

/** Writes the log in a folder, as one of several processes. */
export const writer = Effect.fnUntraced(function* ({ directory, keep, maximumBytes }: Options) {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const files = yield* PrivateFile.make
  const { failed, parts, read, readHead, withLock } = yield* access(directory)
  const render = AuditEntry.makeRenderer(sha256, yield* ProcessId)
  /** What this process has written last: if nobody else has written, it is known without looking. */
  let written: AuditEntry.Head | undefined

  const writing = Effect.mapError(() => failed("write"))

  const writeHead = (handle: FileHandle, head: AuditEntry.Head) =>
    Effect.tryPromise({
      try: () => handle.write(`${JSON.stringify(head).padEnd(headLength - 1)}\n`, 0),
      catch: () => failed("write"),
    })

  /** Where the log ends, whoever has written it, and whatever has become of it. */
  const find = Effect.fnUntraced(function* (head: Option.Option<AuditEntry.Head>, newest: Part | undefined) {
    const noted = Option.getOrUndefined(head)
    const known = written !== undefined && (noted === undefined || written.seq > noted.seq) ? written : noted
    if (newest === undefined) {
      const place: Place = {
        tip: known ?? AuditEntry.origin,
        file: Option.none(),
        separator: "",
        notices: known === undefined ? [] : [{ event: "cut", from: 1, to: known.seq }],
      }
      return place
    }
    const file = Option.some(newest)
    if (known !== undefined && known.file === newest.name && known.size === newest.size) {
      const place: Place = { tip: known, file, separator: "", notices: [] }
      return place
    }
    return recover(newest, yield* read(newest), known)
  })

  /** Begins the next file, and forgets the oldest. It is there as a whole or not at all. */
  const rotate = Effect.fnUntraced(function* (tip: AuditEntry.Tip, there: ReadonlyArray<Part>) {
    const name = AuditEntry.fileNameOf(tip.seq + 1)
    const names = [...there.map((part) => part.name), name]
    const kept = names.slice(-keep)
    const oldest = Option.getOrElse(AuditEntry.firstOf(kept[0] ?? name), () => tip.seq + 1)
    const body = render.event(yield* Clock.currentTimeMillis, { event: "file", version: 1, previous: tip.hash, oldest })
    const next = AuditEntry.chain(sha256, tip, body)
    yield* writing(files.write(paths.join(directory, name), `${next.line}\n`))
    const old = names.slice(0, -keep)
    return { tip: next, file: { name, size: next.line.length + 1 }, old }
  })

  const appendTo = Effect.fnUntraced(function* ({ name, size }: Part, bytes: Uint8Array) {
    const handle = yield* fs.open(paths.join(directory, name), { flag: "a", mode: 0o600 })
    yield* handle.writeAll(bytes).pipe(
      // What has gone out of a line on a full disk would be half a line for ever.
      Effect.onError(() => Effect.ignore(handle.truncate(size))),
    )
    yield* handle.sync
  }, Effect.scoped)

  const append = Effect.fnUntraced(function* (
    handle: FileHandle,
    events: ReadonlyArray<AuditEntry.Event>,
    block: Block,
  ) {
    const head = yield* readHead(handle)
    const there = yield* parts
    const place = yield* find(head, there.at(-1))
    let tip = place.tip
    let part: Part
    let old: ReadonlyArray<string> = []
    const isWhole = place.notices.length === 0 && place.separator === ""
    if (Option.isNone(place.file) || (place.file.value.size >= maximumBytes && isWhole)) {
      const begun = yield* rotate(tip, there)
      ;({ old, tip } = begun)
      part = begun.file
    } else {
      part = place.file.value
    }
    const now = yield* Clock.currentTimeMillis
    let text: string = place.separator
    const add = (body: AuditEntry.Body) => {
      const next = AuditEntry.chain(sha256, tip, body)
      text += `${next.line}\n`
      tip = { seq: next.seq, hash: next.hash }
    }
    for (const event of [...place.notices, ...events]) add(render.event(now, event))
    for (let i = 0; i < block.lines; i++) {
      if (i > 0 && i % linesPerTurn === 0) yield* Effect.yieldNow
      add(block.bodyAt(i))
    }
    yield* writing(appendTo(part, Buffer.from(text, "latin1")))
    written = { file: part.name, size: part.size + text.length, ...tip }
    // The lines are there; a head that lags behind does not know them, which is no harm.
    yield* Effect.ignore(writeHead(handle, written))
    yield* Effect.forEach(old, (name) => Effect.ignore(fs.remove(paths.join(directory, name))), { discard: true })
  })

  return {
    render,

    /** Adds lines to the log, all or none, and returns when they are on the disk: of events, then of what is in a block. */
    append: (events: ReadonlyArray<AuditEntry.Event>, block: Block): Effect.Effect<void, AuditUnavailable> =>
      fs
        .makeDirectory(directory, { recursive: true, mode: 0o700 })
        .pipe(
          writing,
          Effect.andThen(withLock("write", (handle) => append(handle, events, block))),
          Effect.uninterruptible,
        ),
  }
})
