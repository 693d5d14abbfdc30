/**
 * `audit`: what the server has noted of every request. Who was given what, and whether the notes are as they were written.
 */
import { Clock, Config, Console, Data, DateTime, Effect, Option, Schema, Stdio, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import * as AuditEntry from "../domain/AuditEntry.ts"
import { fingerprint, fingerprintLength } from "../domain/Fingerprint.ts"
import { printable } from "../domain/RemoteText.ts"
import * as AuditFile from "../server/AuditFile.ts"
import { sha256 } from "../system/Sha256.ts"
import { Json } from "./GlobalFlags.ts"
import { Lifetime } from "./Lifetime.ts"
import { UsageError } from "./UsageError.ts"

/** The log is not as it was written. What is wrong has been said, on stdout. */
export class AuditBroken extends Data.TaggedError("AuditBroken")<{
  readonly directory: string
  readonly count: number
}> {
  override get message(): string {
    const problems = this.count === 1 ? "one place" : `${this.count} places`
    return `The audit log is not as it was written, in ${problems}. It was left as it is; to keep what there is, copy ${this.directory}`
  }
}

/** No request of the log was answered with the token. */
export class NobodyHasIt extends Data.TaggedError("NobodyHasIt")<{
  readonly fingerprint: string
  readonly since: string
}> {
  override get message(): string {
    return `Nobody was given a token with the fingerprint ${this.fingerprint} since ${this.since}, where the audit log begins.`
  }
}

/** Only the host has it: what a sandbox would see is its own, empty one. */
const log = Effect.gen(function* () {
  const socket = yield* Config.option(Config.NonEmptyString("TOKENKEEP_SOCKET"))
  if (Option.isSome(socket)) {
    return yield* new UsageError({
      detail: "The audit log is kept on the host. Type this there, or without TOKENKEEP_SOCKET.",
    })
  }
  const { auditDirectory } = yield* BrokerConfig
  const { look, read } = yield* AuditFile.reader(auditDirectory)
  const { head, parts } = yield* look
  if (parts.length === 0 && Option.isNone(head)) {
    yield* Console.error("The audit log is empty. It is written by: tokenkeep serve")
  }
  return { auditDirectory, head, parts, read }
})

const linesOf = (content: string): ReadonlyArray<string> => content.split("\n").filter((line) => line !== "")

// show

const show = Command.make(
  "show",
  {
    since: Flag.String("since").pipe(
      Flag.withDescription("Only what came since: a length of time like 90s, 10m or 2h, or a date like 2026-07-01"),
      Flag.optional,
    ),
    grant: Flag.String("grant").pipe(Flag.withDescription("Only requests of peers with this grant"), Flag.optional),
    account: Flag.String("account").pipe(Flag.withDescription("Only requests for this account"), Flag.optional),
  },
  Effect.fn("audit.show")(function* ({ account, grant, since }) {
    const json = yield* Json
    const from = Option.isSome(since) ? yield* instantOf(since.value) : ""
    const { parts, read } = yield* log
    if (!json && parts.length > 0) yield* Console.log(row(titles))
    const wanted = (line: AuditEntry.RequestLine) =>
      line.time >= from &&
      (Option.isNone(grant) || grant.value === line.grant) &&
      (Option.isNone(account) || isAccount(account.value, line.account))
    const wantsEvents = Option.isNone(grant) && Option.isNone(account)
    for (const part of parts) {
      const shown = linesOf(yield* read(part)).flatMap((line): ReadonlyArray<string> => {
        const request = AuditEntry.requestIn(line)
        if (Option.isSome(request)) return wanted(request.value) ? [json ? line : row(cellsOf(request.value))] : []
        const event = wantsEvents ? AuditEntry.eventIn(line) : Option.none()
        if (Option.isNone(event) || event.value.time < from) return []
        return [json ? line : `${event.value.time}  ${wordsFor(event.value)}`]
      })
      if (shown.length > 0) yield* Console.log(shown.join("\n"))
    }
  }),
).pipe(
  Command.withDescription("Show the requests"),
  Command.withExamples([{ command: "tokenkeep audit show --since 1h --grant host" }]),
)

const decodeLifetime = Schema.decodeUnknownOption(Lifetime)

/** The beginning of a span of time, as times are written in the log, so that their texts compare. */
const instantOf = Effect.fnUntraced(function* (text: string) {
  const now = DateTime.makeUnsafe(yield* Clock.currentTimeMillis)
  const instant = Option.orElse(
    Option.map(decodeLifetime(text), (time) => DateTime.subtractDuration(now, time)),
    () => Option.filter(DateTime.make(text), () => /^\d{4}-\d\d-\d\d/.test(text)),
  )
  if (Option.isNone(instant)) {
    return yield* new UsageError({
      detail: `${printable(text)} is no time. Give --since a length of time like 90s, 10m or 2h, or a date like 2026-07-01.`,
    })
  }
  return DateTime.formatIso(DateTime.toUtc(instant.value))
})

/** `github` is the account that is written `github` or `github:default`. */
const isAccount = (wanted: string, account: string | undefined): boolean =>
  account !== undefined && withoutDefault(wanted) === withoutDefault(account)

const withoutDefault = (account: string): string => account.replace(/:default$/, "")

const titles = ["TIME", "USER", "PROCESS", "GRANT", "OPERATION", "ACCOUNT", "OUTCOME", "TOOK", "TOKEN"]
const widths = [24, 6, 8, 16, 16, 24, 18, 10, 0]

const row = (cells: ReadonlyArray<string>): string =>
  cells
    .map((cell, i) => cell.padEnd(widths[i] ?? 0))
    .join("  ")
    .trimEnd()

const cellsOf = (line: AuditEntry.RequestLine): ReadonlyArray<string> =>
  [
    line.time,
    line.uid ?? "-",
    line.pid ?? "-",
    line.grant,
    line.count === undefined ? line.op : `${line.op} x${line.count}`,
    line.account ?? "-",
    line.outcome,
    `${(line.micros / 1000).toFixed(1)} ms`,
    line.fingerprint ?? "-",
    // Written by us, and harmless; but a file that somebody has changed is shown too.
  ].map((cell) => printable(String(cell)))

const wordsFor = (line: AuditEntry.EventLine): string => {
  switch (line.event) {
    case "file":
      return `(a new file; lines from ${line.oldest} on are kept)`
    case "start":
      return `(process ${line.server} begins to write, audit=${printable(line.mode)})`
    case "stop":
      return `(process ${line.server} ends)`
    case "lost":
      return `(${line.count} requests were served, and could not be written)`
    case "torn":
      return "(the line before is half written, left by a crash)"
    case "cut":
      return "(lines before this one were removed)"
  }
}

// verify

const decodeAnchor = Schema.decodeUnknownOption(Schema.String.check(Schema.isPattern(/^[1-9]\d{0,14}:[0-9a-f]{64}$/)))

const verify = Command.make(
  "verify",
  {
    anchor: Flag.String("anchor").pipe(
      Flag.withDescription("A line that an earlier verify has named, as NUMBER:HASH; it must still be there"),
      Flag.optional,
    ),
  },
  Effect.fn("audit.verify")(function* (input) {
    const anchor = Option.map(Option.flatMap(input.anchor, decodeAnchor), (text): AuditEntry.Tip => {
      const [seq = "", hash = ""] = text.split(":")
      return { seq: Number(seq), hash }
    })
    if (Option.isSome(input.anchor) && Option.isNone(anchor)) {
      return yield* new UsageError({ detail: "An --anchor is NUMBER:HASH, as verify prints it at its end." })
    }
    const { auditDirectory, head, parts, read } = yield* log
    const verifier = AuditEntry.makeVerifier(sha256, { head, anchor })
    for (const part of parts) verifier.file(part.name, yield* read(part))
    const { files, from, lines, problems, remarks, tip, to } = verifier.report()
    for (const { file, line, what } of problems) {
      yield* Console.log(line === undefined ? `${file}: ${what}` : `${file}, line ${line}: ${what}`)
    }
    for (const remark of remarks) yield* Console.error(`Note: ${remark}.`)
    if (problems.length > 0) return yield* new AuditBroken({ directory: auditDirectory, count: problems.length })
    if (Option.isNone(tip)) return
    const times = Option.all([from, to])
    const span = Option.match(times, { onNone: () => "", onSome: ([from, to]) => `, from ${from} to ${to}` })
    yield* Console.log(`${lines} lines in ${files} files${span}: as they were written.`)
    yield* Console.log(`The last line is ${tip.value.seq}:${tip.value.hash}`)
  }),
).pipe(
  Command.withDescription("Find out whether lines were changed, added, removed or moved"),
  Command.withExamples([{ command: "tokenkeep audit verify" }]),
)

// trace

const trace = Command.make(
  "trace",
  {
    token: Argument.String("fingerprint").pipe(
      Argument.withDescription("8 or more hexadecimal digits, or - to read the token itself from stdin"),
    ),
  },
  Effect.fn("audit.trace")(function* (input) {
    const wanted = yield* input.token === "-" ? fingerprintOfInput : fingerprintOf(input.token)
    const { parts, read } = yield* log
    const given = new Map<string, Given>()
    let since = Option.none<string>()
    for (const part of parts) {
      for (const line of linesOf(yield* read(part))) {
        since = Option.orElse(since, () => Option.fromUndefinedOr(/"time":"([^"]*)"/.exec(line)?.[1]))
        if (!line.includes(`"fingerprint":"${wanted}`)) continue
        const request = AuditEntry.requestIn(line)
        if (Option.isSome(request)) note(given, request.value)
      }
    }
    if (given.size === 0) {
      return yield* new NobodyHasIt({
        fingerprint: wanted,
        since: printable(Option.getOrElse(since, () => "the beginning")),
      })
    }
    for (const [peer, { count, first, last, pids }] of given) {
      const processes = [...pids].slice(0, 10).join(", ")
      const more = pids.size > 10 ? ` and ${pids.size - 10} more` : ""
      yield* Console.log(
        `${peer}: ${count === 1 ? "once" : `${count} times`}, first ${first}, last ${last}${
          pids.size === 0 ? "" : `, process ${processes}${more}`
        }`,
      )
    }
  }),
).pipe(
  Command.withDescription("Say who was given a token"),
  Command.withExamples([
    { command: "tokenkeep audit trace 0123456789abcdef" },
    { command: "tokenkeep audit trace - < leaked-token" },
  ]),
)

/** What one peer got of a token. */
interface Given {
  readonly count: number
  readonly first: string
  readonly last: string
  readonly pids: Set<number>
}

const note = (given: Map<string, Given>, line: AuditEntry.RequestLine): void => {
  const user = line.uid === undefined ? "" : ` (user ${line.uid})`
  const peer = `${printable(line.grant)}${user}, ${printable(line.account ?? line.op)}, token ${printable(line.fingerprint ?? "")}`
  const before = given.get(peer)
  const time = printable(line.time)
  const pids = before?.pids ?? new Set()
  if (line.pid !== undefined) pids.add(line.pid)
  given.set(peer, { count: (before?.count ?? 0) + (line.count ?? 1), first: before?.first ?? time, last: time, pids })
}

const fingerprintOf = Effect.fnUntraced(function* (text: string) {
  if (/^[0-9a-f]{8,64}$/i.test(text)) return text.slice(0, fingerprintLength).toLowerCase()
  // Not repeated: it may be the token itself.
  return yield* new UsageError({
    detail:
      "A fingerprint has 8 to 64 hexadecimal digits. To ask by the token, keep it off the command line: tokenkeep audit trace - < FILE",
  })
})

const fingerprintOfInput = Effect.gen(function* () {
  const { stdin, stdinIsTerminal } = yield* Stdio.Stdio
  if (yield* stdinIsTerminal) yield* Console.error("Paste the token, and press Enter:")
  const line = yield* stdin.pipe(Stream.decodeText, Stream.splitLines, Stream.runHead)
  const token = Option.getOrElse(line, () => "").trim()
  if (token === "") return yield* new UsageError({ detail: "No token came on stdin." })
  return fingerprint(sha256, token)
})

export const audit = Command.make("audit").pipe(
  Command.withDescription("What the server has noted of every request"),
  Command.withSubcommands([show, verify, trace]),
)
