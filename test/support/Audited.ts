/**
 * Requests to be noted, and what became of them in the audit log.
 */
import { Effect, Option } from "effect"
import * as AuditEntry from "../../src/domain/AuditEntry.ts"
import * as AuditFile from "../../src/server/AuditFile.ts"
import { sha256 } from "../../src/system/Sha256.ts"

/** A request that was answered with a token. */
export const entry = (changes: Partial<AuditEntry.Entry> = {}): AuditEntry.Entry => ({
  at: 1_800_000_000_000,
  uid: 1000,
  pid: 4711,
  grant: "agents",
  op: "get_token",
  account: "github:work",
  outcome: "ok",
  micros: 321,
  token: "gho_canary_0123456789",
  ...changes,
})

/** All that is in a folder with a log, and what a check of it says. */
export const found = Effect.fnUntraced(function* (directory: string, anchor?: AuditEntry.Tip) {
  const { look, read } = yield* AuditFile.reader(directory)
  const { head, parts } = yield* look
  const contents = yield* Effect.forEach(parts, read)
  const verifier = AuditEntry.makeVerifier(sha256, { head, anchor: Option.fromUndefinedOr(anchor) })
  for (const [index, { name }] of parts.entries()) verifier.file(name, contents[index] ?? "")
  const lines = contents.flatMap((content) => content.split("\n").filter((line) => line !== ""))
  return {
    head,
    parts,
    lines,
    requests: lines.flatMap((line) =>
      Option.match(AuditEntry.requestIn(line), {
        onNone: () => [],
        onSome: ({ count = 1, ...request }) => Array.from({ length: count }, () => request),
      }),
    ),
    events: lines.flatMap((line) => Option.toArray(AuditEntry.eventIn(line))),
    report: verifier.report(),
  }
})
