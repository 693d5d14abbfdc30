/**
 * The lines of the audit log, and the chain that holds them together.
 *
 * A line is one JSON object in ASCII whose last field is its hash: the SHA-256 of the hash of the line before, followed
 * by the line's own text up to `,"hash":`. So a check needs the text as it stands, and no JSON. Lines are numbered without
 * gaps, over all files. A file begins with a line that names the last hash of the file before, and the first line that
 * is still kept. Requests that follow each other in the same millisecond, and in nothing differ, are one line with their
 * `count`.
 *
 * The chain shows that lines were changed, added, removed or moved by somebody who did not write all that follows anew.
 */
import { DateTime, Option, Schema } from "effect"
import { ascii } from "./AsciiJson.ts"
import { fingerprint, type Sha256 } from "./Fingerprint.ts"
import { printable } from "./RemoteText.ts"

/** What is known of one request when it has been answered. */
export interface Entry {
  /** When the request came, in milliseconds since 1970. */
  readonly at: number
  readonly uid: number | undefined
  readonly pid: number | undefined
  /** What the peer was let in by. */
  readonly grant: string
  /** As the peer wrote it. */
  readonly op: string
  /** The account, or the name of the key. */
  readonly account: string | undefined
  /** `ok`, or the code of the refusal. */
  readonly outcome: string
  /** How long it took; 0 if nothing had to be waited for. */
  readonly micros: number
  /** The access token that was handed out. Only its fingerprint is written. */
  readonly token: string | undefined
}

/** What is noted besides requests. */
export type Event =
  /** The first line of a file. Lines from `oldest` on are kept. */
  | { readonly event: "file"; readonly version: 1; readonly previous: string; readonly oldest: number }
  /** A process began to write. */
  | { readonly event: "start"; readonly mode: string }
  /** A process has written all that it had to say. */
  | { readonly event: "stop" }
  /** So many requests were served, and not written. */
  | { readonly event: "lost"; readonly count: number }
  /** The text before this line is the beginning of one, whose writer died. */
  | { readonly event: "torn"; readonly bytes: number; readonly sha256: string }
  /** Lines that had been written were gone when the next writer came; without `to`, it is not known how many. */
  | { readonly event: "cut"; readonly from: number; readonly to?: number }

/** Where a chain ends, or ended when somebody looked. */
export interface Tip {
  readonly seq: number
  readonly hash: string
}

/** Where a log ends as its last writer has noted it, outside of the log: a cut tail is found by this. */
export const Head = Schema.Struct({
  file: Schema.String,
  size: Schema.Int,
  // As many digits as the number of a line may have.
  seq: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1e15 - 1 })),
  hash: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/)),
})
export type Head = typeof Head.Type

/** Before the first line of all. */
export const origin: Tip = { seq: 0, hash: "0".repeat(64) }

/** The longest operation there is has 14 characters; what is longer is a peer's fancy. */
const longestOperation = 64

/** An entry that holds on to nothing large, whatever the peer sent: it waits in a queue. */
export const bounded = (entry: Entry): Entry =>
  entry.op.length <= longestOperation && (entry.account ?? "").length <= 200
    ? entry
    : { ...entry, op: copied(entry.op, longestOperation), account: entry.account && copied(entry.account, 200) }

/** A part of a text in memory of its own: a mere slice would keep the whole. */
const copied = (text: string, length: number): string => Array.from(printable(text).slice(0, length)).join("")

/** The text of a line, but for its number and its hash: JSON, in ASCII, on one line. */
export type Body = string

/** The body of a line about a request, in parts that were made of it: one after the other, they are the body. */
export interface Parts {
  readonly opening: string
  readonly who: string
  readonly what: string
  readonly micros: number
}

export const bodyOf = ({ micros, opening, what, who }: Parts): Body => `${opening}${who}${what}${micros}`

/**
 * Makes the bodies of lines. Requests that follow each other are much alike, and few texts occur again and again, so what
 * was made of them is kept for a while.
 */
export const makeRenderer = (sha256: Sha256, server: number) => {
  const quoted = remembered(1_024, (text: string) => ascii(printable(text)))
  const fingerprints = remembered(1_024, (token: string) => fingerprint(sha256, token))

  let at = Number.NaN
  let opening = ""
  const openingAt = (now: number): string => {
    if (now !== at) {
      const time = Option.match(DateTime.make(now), { onNone: () => "", onSome: DateTime.formatIso })
      opening = `"time":"${time}","server":${server},`
      at = now
    }
    return opening
  }

  let uid: number | undefined
  let pid: number | undefined
  let grant: string | undefined
  let who = ""
  const whoIn = (entry: Entry): string => {
    if (entry.grant !== grant || entry.uid !== uid || entry.pid !== pid) {
      ;({ grant, pid, uid } = entry)
      who = `${uid === undefined ? "" : `"uid":${uid},`}${
        pid === undefined ? "" : `"pid":${pid},`
      }"grant":${quoted.get(grant)},`
    }
    return who
  }

  let op: string | undefined
  let account: string | undefined
  let outcome: string | undefined
  let token: string | undefined
  let what = ""
  const whatIn = (entry: Entry): string => {
    if (entry.op !== op || entry.account !== account || entry.outcome !== outcome || entry.token !== token) {
      ;({ account, op, outcome, token } = entry)
      what = `"op":${quoted.get(op)},${account === undefined ? "" : `"account":${quoted.get(account)},`}"outcome":${quoted.get(
        outcome,
      )},${token === undefined ? "" : `"fingerprint":"${fingerprints.get(token)}",`}"micros":`
    }
    return what
  }

  return {
    parts: (entry: Entry): Parts => ({
      opening: openingAt(entry.at),
      who: whoIn(entry),
      what: whatIn(entry),
      micros: Math.round(entry.micros),
    }),
    event: (now: number, event: Event): Body => openingAt(now) + ascii(event).slice(1, -1),
    /** Forgets the tokens that it has seen: after a batch, in which one is served many times, they are not held here. */
    forget: (): void => {
      fingerprints.clear()
      op = undefined
      token = undefined
    },
  }
}

const remembered = (most: number, make: (text: string) => string) => {
  const made = new Map<string, string>()
  return {
    get: (text: string): string => {
      const known = made.get(text)
      if (known !== undefined) return known
      const fresh = make(text)
      if (made.size >= most) made.clear()
      made.set(text, fresh)
      return fresh
    },
    clear: () => made.clear(),
  }
}

/** The line that comes after `tip`, without its line end. */
export const chain = (sha256: Sha256, tip: Tip, body: Body): Tip & { readonly line: string } => {
  const seq = tip.seq + 1
  const text = `{"seq":${seq},${body}`
  const hash = sha256(tip.hash + text)
  return { seq, hash, line: `${text},"hash":"${hash}"}` }
}

const numbered = /^\{"seq":([1-9]\d{0,14}),/
const ending = /,"hash":"([0-9a-f]{64})"\}$/

/** What a line says of itself, whether or not it is true. None if it is no line of such a log. */
export const claimOf = (line: string): Option.Option<Tip & { readonly text: string }> => {
  const seq = numbered.exec(line)?.[1]
  const hash = ending.exec(line.slice(-75))?.[1]
  return seq === undefined || hash === undefined
    ? Option.none()
    : Option.some({ seq: Number(seq), hash, text: line.slice(0, -75) })
}

const Common = { seq: Schema.Int, time: Schema.String, server: Schema.Int, hash: Schema.String }

/** A line about a request, as it is read. */
export const RequestLine = Schema.Struct({
  ...Common,
  uid: Schema.optionalKey(Schema.Int),
  pid: Schema.optionalKey(Schema.Int),
  grant: Schema.String,
  op: Schema.String,
  account: Schema.optionalKey(Schema.String),
  outcome: Schema.String,
  micros: Schema.Int,
  /** Of how many requests this is all that there is to say; one if it is not there. */
  count: Schema.optionalKey(Schema.Int),
  fingerprint: Schema.optionalKey(Schema.String),
})
export type RequestLine = typeof RequestLine.Type

/** A line about something else, as it is read. */
export const EventLine = Schema.Union([
  Schema.Struct({
    ...Common,
    event: Schema.Literal("file"),
    version: Schema.Literal(1),
    previous: Schema.String,
    oldest: Schema.Int,
  }),
  Schema.Struct({ ...Common, event: Schema.Literal("start"), mode: Schema.String }),
  Schema.Struct({ ...Common, event: Schema.Literal("stop") }),
  Schema.Struct({ ...Common, event: Schema.Literal("lost"), count: Schema.Int }),
  Schema.Struct({ ...Common, event: Schema.Literal("torn"), bytes: Schema.Int, sha256: Schema.String }),
  Schema.Struct({
    ...Common,
    event: Schema.Literal("cut"),
    from: Schema.Int,
    to: Schema.optionalKey(Schema.Int),
  }),
])
export type EventLine = typeof EventLine.Type

const decodeRequestLine = Schema.decodeUnknownOption(Schema.fromJsonString(RequestLine))
const decodeEventLine = Schema.decodeUnknownOption(Schema.fromJsonString(EventLine))

/** The request that a line tells of. */
export const requestIn = (line: string): Option.Option<RequestLine> => decodeRequestLine(line)

/** The event that a line tells of. */
export const eventIn = (line: string): Option.Option<EventLine> =>
  line.includes('"event":') ? decodeEventLine(line) : Option.none()

const fileName = /^log-(\d{16})\.ndjson$/

/** The name of the file whose first line has this number; names sort as the lines do. */
export const fileNameOf = (seq: number): string => `log-${String(seq).padStart(16, "0")}.ndjson`

/** The number of the first line of a file. None if the name is not one of such a file. */
export const firstOf = (name: string): Option.Option<number> =>
  Option.map(Option.fromUndefinedOr(fileName.exec(name)?.[1]), Number)

/** Something that is not as it was written. */
export interface Problem {
  readonly file: string
  /** The line in the file, from 1; none if it is about the file as a whole. */
  readonly line?: number
  readonly what: string
}

/** What there is to say of a log. */
export interface Report {
  readonly lines: number
  readonly files: number
  readonly from: Option.Option<string>
  readonly to: Option.Option<string>
  readonly tip: Option.Option<Tip>
  readonly problems: ReadonlyArray<Problem>
  /** What is no sign of tampering, but of trouble: requests that were not written, lines that were torn. */
  readonly remarks: ReadonlyArray<string>
}

/**
 * Holds files of a log, from the oldest to the newest, against their chain, their head, and a line that somebody has
 * noted elsewhere. After a problem the next line is believed to follow from what stands there, so that one change is
 * one problem.
 */
export const makeVerifier = (
  sha256: Sha256,
  { anchor, head }: { readonly head: Option.Option<Head>; readonly anchor: Option.Option<Tip> },
) => {
  const problems: Array<Problem> = []
  const remarks: Array<string> = []
  const pending = [...Option.toArray(head), ...Option.toArray(anchor)]
  let tip: Tip | undefined
  let oldest: { readonly seq: number; readonly file: string } | undefined
  let first: { readonly seq: number; readonly file: string } | undefined
  let last = "head"
  let lines = 0
  let files = 0
  let from = Option.none<string>()
  let to = Option.none<string>()

  const takeFirst = (file: string, line: string, problem: (what: string) => void) => {
    const header = eventIn(line)
    const begins = Option.filter(header, ({ event }) => event === "file")
    if (Option.isNone(begins) || begins.value.event !== "file") {
      return problem("it does not begin as a file of the log does: lines before this one were removed or changed")
    }
    const { oldest: kept, previous, seq } = begins.value
    if (Option.getOrUndefined(firstOf(file)) !== seq) problem("it has the name of another file")
    oldest = { seq: kept, file }
    if (tip === undefined) {
      first = { seq, file }
      tip = { seq: seq - 1, hash: previous }
      if (seq === 1 && previous !== origin.hash) problem("it says that it follows from another, and is the first")
    } else if (previous !== tip.hash) {
      if (seq === tip.seq + 1) problem("it does not follow from the file before: the end of that one was changed")
      tip = { seq: tip.seq, hash: previous }
    }
  }

  const takeEvent = (event: EventLine, problem: (what: string) => void) => {
    if (event.event === "lost") remarks.push(`${event.time}: ${event.count} requests were served, but not written`)
    if (event.event === "torn") remarks.push(`${event.time}: a line was found half written, left by a crash`)
    if (event.event === "cut") {
      problem(
        event.to === undefined
          ? "the next writer did not know where the log had ended: its end may have been removed"
          : `lines up to ${event.to} had been written, and were gone when the next writer came`,
      )
    }
  }

  /** Lines that are none, until it is known whether a crash has left them. */
  let loose: Array<{ readonly line: string; readonly problem: (what: string) => void }> = []
  const looseText = () => loose.map(({ line }) => line).join("\n")
  const judgeLoose = (next: Option.Option<EventLine>) => {
    if (loose.length === 0) return
    const text = looseText()
    const isExplained = Option.exists(
      next,
      (event) => event.event === "torn" && event.bytes === text.length && event.sha256 === sha256(text),
    )
    if (!isExplained) for (const { problem } of loose) problem("it is no line of this log")
    loose = []
  }

  const take = (line: string, problem: (what: string) => void) => {
    const claim = claimOf(line)
    if (Option.isNone(claim)) return void loose.push({ line, problem })
    const { hash, seq, text } = claim.value
    const event = eventIn(line)
    judgeLoose(event)
    const isCut = Option.exists(event, ({ event }) => event === "cut")
    const wanted = tip === undefined ? seq : tip.seq + 1
    if (seq > wanted && !isCut) problem(`${span(wanted, seq - 1)} missing before it`)
    else if (seq < wanted) problem(`it has the number ${seq}, and should have ${wanted}: it was moved or added`)
    else if (tip !== undefined && sha256(tip.hash + text) !== hash) {
      problem("it does not follow from the line before: one of the two was changed")
    }
    if (pending.some((known) => known.seq === seq && known.hash !== hash)) {
      problem("it is not the line that had this number before")
    }
    tip = { seq, hash }
    lines++
    const time = Option.fromUndefinedOr(/"time":"([^"]*)"/.exec(text)?.[1])
    from = Option.orElse(from, () => time)
    to = Option.orElse(time, () => to)
    if (Option.isSome(event)) takeEvent(event.value, problem)
  }

  return {
    /** The next file, with each byte as one character. */
    file: (name: string, content: string): void => {
      const found = content.split("\n")
      const rest = found.pop() ?? ""
      files++
      last = name
      if (found.length === 0) problems.push({ file: name, what: "it is empty" })
      for (const [index, line] of found.entries()) {
        const problem = (what: string) => void problems.push({ file: name, line: index + 1, what })
        if (index === 0) takeFirst(name, line, problem)
        take(line, problem)
      }
      if (rest !== "") {
        loose.push({
          line: rest,
          problem: () => void problems.push({ file: name, line: found.length + 1, what: "it is not complete" }),
        })
        // What the head does not cover was being written when its writer died; the rest had once been whole.
        if (Option.exists(head, ({ file, size }) => file === name && size <= content.length - looseText().length)) {
          remarks.push("the last line is half written, left by a crash; the next writer will say so")
          loose = []
        }
      }
      judgeLoose(Option.none())
    },

    /** What was found, when there are no more files. */
    report: (): Report => {
      const end = tip
      if (first !== undefined && oldest !== undefined && first.seq > oldest.seq) {
        problems.push({ file: first.file, what: `${span(oldest.seq, first.seq - 1)} missing before it` })
      }
      if (end !== undefined && Option.isNone(head)) {
        problems.push({ file: "head", what: "it is missing or damaged, so nobody can say whether the end was removed" })
      }
      const furthest = Math.max(0, ...pending.map(({ seq }) => seq))
      if (furthest > (end?.seq ?? 0)) {
        problems.push({ file: last, what: `${span((end?.seq ?? 0) + 1, furthest)} missing after it` })
      }
      if (Option.exists(anchor, ({ seq }) => first !== undefined && seq < first.seq)) {
        remarks.push("the noted line is too old: it is no longer kept, and could not be compared")
      }
      return { lines, files, from, to, tip: Option.fromUndefinedOr(end), problems, remarks }
    },
  }
}

const span = (from: number, to: number): string => (from === to ? `line ${from} is` : `lines ${from} to ${to} are`)
