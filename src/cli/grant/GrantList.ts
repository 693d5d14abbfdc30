/**
 * `grant list`: what was granted to whom, without any secret.
 */
import { Console, DateTime, Effect } from "effect"
import { Command } from "effect/cli"
import { ascii } from "../../domain/AsciiJson.ts"
import { wishInWords } from "../../domain/Question.ts"
import { printable } from "../../domain/RemoteText.ts"
import { type GrantEntry, Grants } from "../../server/Grants.ts"
import { Json } from "../GlobalFlags.ts"
import * as HostGrants from "./HostGrants.ts"
import * as Table from "../Table.ts"
import * as TimeLeft from "../TimeLeft.ts"

const show = Effect.gen(function* () {
  const grants = yield* Grants
  const entries = yield* grants.list
  if (yield* Json) return yield* Console.log(ascii({ version: 1, grants: entries.map(toJson) }))
  if (entries.length === 0) return yield* Console.error("Nothing is granted. Grant something with: tokenkeep grant add")
  const now = yield* DateTime.now
  yield* Console.log(Table.format([titles, ...entries.map((entry) => row(entry, now))]))
})

export const list = Command.make("list", { hostSocket: HostGrants.hostSocket }, ({ hostSocket }) =>
  Effect.provide(show, HostGrants.layer(hostSocket)),
).pipe(Command.withDescription("Show what is granted"), Command.withExamples([{ command: "tokenkeep grant list" }]))

/** As it is for programs. There is no capability: nobody knows it any more. */
export const toJson = ({ address, grant, hasCapability }: GrantEntry) => ({
  id: grant.id,
  label: grant.label,
  address,
  accounts: grant.accounts.map(String),
  keys: grant.keys,
  operations: grant.permissions,
  approved: grant.approved.map(wishInWords),
  uids: grant.uids,
  ...(grant.expiresAt !== undefined && { expiresAt: DateTime.formatIso(grant.expiresAt) }),
  ...(grant.usesLeft !== undefined && { usesLeft: grant.usesLeft }),
  transport: grant.transport,
  capability: hasCapability,
  kept: grant.isKept,
  createdAt: DateTime.formatIso(grant.createdAt),
})

const titles = ["ID", "LABEL", "ACCOUNTS", "OPERATIONS", "EXPIRES", "USES", "USERS", "ADDRESS"]

const row = ({ address, grant }: GrantEntry, now: DateTime.Utc): ReadonlyArray<string> => [
  grant.id,
  printable(grant.label),
  orNone([...grant.accounts.map(String), ...grant.keys.map((name) => `key ${name}`)].map(printable)),
  orNone([...grant.permissions, ...grant.approved.map((wish) => `(${wishInWords(wish)})`)]),
  grant.expiresAt === undefined ? "never" : `in ${TimeLeft.inWords(DateTime.distance(now, grant.expiresAt))}`,
  grant.usesLeft === undefined ? "any" : String(grant.usesLeft),
  grant.uids === "any" ? "any" : grant.uids.join(","),
  printable(address),
]

const orNone = (words: ReadonlyArray<string>): string => (words.length === 0 ? "-" : words.join(","))
