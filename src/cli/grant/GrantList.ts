/**
 * `grant list`: what was granted to whom, without any secret.
 */
import { Console, DateTime, Effect, Option } from "effect"
import { Command } from "effect/cli"
import { ascii } from "../../domain/AsciiJson.ts"
import { wishInWords } from "../../domain/Question.ts"
import { printable } from "../../domain/RemoteText.ts"
import { type GrantEntry, Grants } from "../../server/Grants.ts"
import { Json } from "../GlobalFlags.ts"
import { instant } from "../Instant.ts"
import * as HostGrants from "./HostGrants.ts"
import * as Table from "../Table.ts"
import * as DurationInWords from "../DurationInWords.ts"

const show = Effect.gen(function* () {
  const grants = yield* Grants
  const entries = yield* grants.list
  if (yield* Json) return yield* Console.log(ascii({ version: 1, grants: entries.map(toJson) }))
  if (entries.length === 0) return yield* Console.error("Nothing is granted. Grant something with: tokenkeep grant add")
  const now = yield* DateTime.now
  yield* Table.print(columns(now), entries)
})

export const list = Command.make("list", { hostSocket: HostGrants.hostSocket }, ({ hostSocket }) =>
  Effect.provide(show, HostGrants.layer(hostSocket)),
).pipe(Command.withDescription("Show what is granted"), Command.withExamples([{ command: "tokenkeep grant list" }]))

/** As it is for programs. There is no capability: nobody knows it any more. */
const toJson = ({ address, grant, hasCapability }: GrantEntry) => ({
  id: grant.id,
  label: grant.label,
  address,
  accounts: grant.accounts.map(String),
  keys: grant.keys,
  operations: grant.permissions,
  approved: grant.approved.map(wishInWords),
  uids: grant.uids,
  ...instant("expiresAt", Option.fromUndefinedOr(grant.expiresAt)),
  ...(grant.usesLeft !== undefined && { usesLeft: grant.usesLeft }),
  transport: grant.transport,
  capability: hasCapability,
  kept: grant.isKept,
  ...instant("createdAt", Option.some(grant.createdAt)),
})

/** The narrower the terminal, the fewer of the last ones. */
const columns = (now: DateTime.Utc): ReadonlyArray<Table.Column<GrantEntry>> => [
  { title: "ID", cell: ({ grant }) => grant.id },
  { title: "LABEL", cell: ({ grant }) => printable(grant.label), weight: 6, least: 8 },
  {
    title: "ACCOUNTS",
    cell: ({ grant }) =>
      [...grant.accounts.map(String), ...grant.keys.map((name) => `key ${name}`)].map(printable).join(","),
    weight: 7,
    least: 12,
  },
  {
    title: "OPERATIONS",
    cell: ({ grant }) => [...grant.permissions, ...grant.approved.map((wish) => `(${wishInWords(wish)})`)].join(","),
    weight: 2,
    least: 12,
  },
  {
    title: "EXPIRES",
    cell: ({ grant }) =>
      grant.expiresAt === undefined
        ? "never"
        : `in ${DurationInWords.inWords(DateTime.distance(now, grant.expiresAt))}`,
    weight: 5,
  },
  { title: "USES", cell: ({ grant }) => (grant.usesLeft === undefined ? "any" : String(grant.usesLeft)), weight: 4 },
  { title: "USERS", cell: ({ grant }) => (grant.uids === "any" ? "any" : grant.uids.join(",")), weight: 3 },
  { title: "ADDRESS", cell: ({ address }) => printable(address), weight: 1, least: 16 },
]
