/**
 * `grant`: makes, shows, changes and ends grants of the `tokenkeep serve` that runs.
 */
import type { Duration } from "effect"
import { Console, DateTime, Effect, Option, Redacted, Schema, Stdio, Struct } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { ascii } from "../domain/AsciiJson.ts"
import { GrantNotFound } from "../domain/Errors.ts"
import { type Terms, Uses } from "../domain/Grant.ts"
import { printable } from "../domain/RemoteText.ts"
import { type Granted, type GrantEntry, Grants } from "../server/Grants.ts"
import { Json } from "./GlobalFlags.ts"
import { list } from "./grant/GrantList.ts"
import * as GrantTerms from "./grant/GrantTerms.ts"
import * as HostGrants from "./grant/HostGrants.ts"
import { Lifetime } from "./Lifetime.ts"
import { UsageError } from "./UsageError.ts"

const { hostSocket } = HostGrants

// add

const add = Command.make(
  "add",
  {
    ...GrantTerms.flags,
    label: GrantTerms.label,
    tcp: Flag.Boolean("tcp").pipe(
      Flag.withDescription("For where no socket can go: served at the port of tokenkeep serve --tcp, for any user"),
      Flag.withDefault(false),
    ),
    capability: Flag.Boolean("capability").pipe(
      Flag.withDescription("Whoever connects has to show a secret; --no-capability makes reaching the socket enough"),
      Flag.withDefault(true),
    ),
    keep: Flag.Boolean("keep").pipe(
      Flag.withDescription("Keep it when tokenkeep serve is started anew; without it, it ends with the server"),
      Flag.withDefault(false),
    ),
    hostSocket,
  },
  Effect.fn("grant.add")(
    function* ({ capability, keep, label, tcp, ...said }) {
      if (said.allow.length + said.allowKey.length === 0) {
        return yield* new UsageError({ detail: "Say what to grant, with --allow or --allow-key." })
      }
      if (tcp && !capability) {
        return yield* new UsageError({ detail: "Over TCP the capability says who it is; leave out --no-capability." })
      }
      const grants = yield* Grants
      const terms = yield* GrantTerms.make(
        said,
        Option.getOrElse(label, () => "sandbox"),
        tcp ? "any" : GrantTerms.ownUids(),
      )
      const granted = yield* grants.add({
        terms,
        transport: tcp ? "tcp" : "unix",
        hasCapability: capability,
        isKept: keep,
      })
      yield* (yield* Json) ? Console.log(ascii(inJson(granted))) : show(granted)
    },
    (effect, { hostSocket }) => Effect.provide(effect, HostGrants.layer(hostSocket)),
  ),
).pipe(
  Command.withDescription("Grant something, and print the environment of whoever is to use it"),
  Command.withExamples([
    { command: "tokenkeep grant add --allow github,anthropic:work --for 8h --label agents" },
    { command: "tokenkeep grant add --allow 'github:*' --uses 100 --keep > sandbox.env" },
  ]),
)

const inJson = ({ address, capability, id }: Granted) => ({
  version: 1,
  id,
  socket: address,
  ...(Option.isSome(capability) && { capability: Redacted.value(capability.value) }),
})

const show = Effect.fnUntraced(function* ({ address, capability, id }: Granted) {
  const { stdoutIsTerminal } = yield* Stdio.Stdio
  if (Option.isSome(capability) && (yield* stdoutIsTerminal)) {
    yield* Console.error("The capability is a secret. It is now on your screen, and shown this once only.")
  }
  yield* Console.log(`TOKENKEEP_SOCKET=${word(address)}`)
  if (Option.isSome(capability)) yield* Console.log(`TOKENKEEP_CAPABILITY=${Redacted.value(capability.value)}`)
  yield* Console.error(`Granted. Take it back with: tokenkeep grant revoke ${id}`)
})

/** A word for a shell; the files that containers read take it as it is, so it is in quotes only if it has to be. */
const word = (text: string): string => (/^[\w@%+=:,./[\]-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`)

// edit

const Count = Schema.FiniteFromString.pipe(Schema.decodeTo(Uses.check(Schema.isGreaterThan(0))))

const names = Argument.String("grant").pipe(
  Argument.withDescription("The id of a grant, or its label if no other has the same"),
)

const edit = Command.make(
  "edit",
  {
    grant: names,
    ...GrantTerms.flags,
    label: GrantTerms.label,
    lifetime: Flag.String("for").pipe(
      Flag.withDescription("How long from now on, e.g. 30m or 8h, or never for no end"),
      Flag.withMetavar("TIME"),
      Flag.withSchema(Schema.Union([Schema.Literal("never"), Lifetime])),
      Flag.optional,
    ),
    uses: Flag.String("uses").pipe(
      Flag.withDescription("How many tokens and keys may still be handed out, or any for any number"),
      Flag.withMetavar("COUNT"),
      Flag.withSchema(Schema.Union([Schema.Literal("any"), Count])),
      Flag.optional,
    ),
    hostSocket,
  },
  Effect.fn("grant.edit")(
    function* ({ grant: name, ...said }) {
      const grants = yield* Grants
      const { grant } = yield* find(yield* grants.list, name)
      const terms = yield* changed(grant, said)
      if (terms === undefined) return yield* new UsageError({ detail: "Say what to change; see --help." })
      yield* grants.edit(grant.id, terms)
      yield* Console.error(`Changed ${printable(terms.label)} (${grant.id}), for open connections too.`)
    },
    (effect, { hostSocket }) => Effect.provide(effect, HostGrants.layer(hostSocket)),
  ),
).pipe(
  Command.withDescription("Change a grant: only what is given, at once"),
  Command.withExamples([{ command: "tokenkeep grant edit agents --allow github --for never" }]),
)

type Changes = Omit<GrantTerms.Said, "lifetime" | "uses"> & {
  readonly label: Option.Option<string>
  readonly lifetime: Option.Option<"never" | Duration.Duration>
  readonly uses: Option.Option<"any" | number>
}

/** The terms with what was said in place of what was; nothing if nothing was said. */
const changed = Effect.fnUntraced(function* (before: Terms, said: Changes) {
  const [uid, ...others] = said.uid.filter((one) => one !== "any")
  const uids = said.uid.includes("any") ? ("any" as const) : uid === undefined ? undefined : ([uid, ...others] as const)
  const changes = {
    ...(said.allow.length > 0 && { accounts: said.allow }),
    ...(said.allowKey.length > 0 && { keys: said.allowKey }),
    ...(Option.isSome(said.operations) && { permissions: said.operations.value }),
    ...(Option.isSome(said.label) && { label: said.label.value }),
    ...(uids !== undefined && { uids }),
  }
  const isNothing = Object.keys(changes).length === 0 && Option.isNone(said.lifetime) && Option.isNone(said.uses)
  if (isNothing) return undefined
  const now = yield* DateTime.now
  const expiresAt = Option.match(said.lifetime, {
    onNone: () => before.expiresAt,
    onSome: (lifetime) => (lifetime === "never" ? undefined : DateTime.addDuration(now, lifetime)),
  })
  const usesLeft = Option.match(said.uses, {
    onNone: () => before.usesLeft,
    onSome: (uses) => (uses === "any" ? undefined : uses),
  })
  return {
    ...Struct.pick(before, ["label", "accounts", "keys", "permissions", "approved", "uids"]),
    ...changes,
    ...(expiresAt !== undefined && { expiresAt }),
    ...(usesLeft !== undefined && { usesLeft }),
  } satisfies Terms
})

// revoke

const revoke = Command.make(
  "revoke",
  {
    names: names.pipe(Argument.variadic()),
    all: Flag.Boolean("all").pipe(Flag.withDescription("All grants"), Flag.withDefault(false)),
    hostSocket,
  },
  Effect.fn("grant.revoke")(
    function* ({ all, names }) {
      if (all === names.length > 0) {
        return yield* new UsageError({ detail: "Name the grants to end, or end them --all." })
      }
      const grants = yield* Grants
      const entries = yield* grants.list
      const meant = all ? entries : yield* Effect.forEach(names, (name) => find(entries, name))
      for (const { grant } of new Set(meant)) {
        // Over by itself meanwhile is as good.
        yield* Effect.catchTag(grants.revoke(grant.id), "GrantNotFound", () => Effect.void)
        yield* Console.error(`Revoked ${printable(grant.label)} (${grant.id}): its connections are closed.`)
      }
    },
    (effect, { hostSocket }) => Effect.provide(effect, HostGrants.layer(hostSocket)),
  ),
).pipe(
  Command.withDescription("End grants, and the connections of those who use them"),
  Command.withExamples([{ command: "tokenkeep grant revoke agents" }]),
)

/** The grant that is meant by an id or a label. */
const find = Effect.fnUntraced(function* (entries: ReadonlyArray<GrantEntry>, name: string) {
  const [one, ...others] = entries.filter(({ grant }) => grant.label === name)
  const byId = entries.find(({ grant }) => grant.id === name)
  if (byId !== undefined) return byId
  if (one === undefined) return yield* GrantNotFound.make({ id: name })
  if (others.length > 0) {
    const ids = [one, ...others].map(({ grant }) => grant.id)
    return yield* new UsageError({ detail: `Which one? ${printable(name)} is the label of ${ids.join(", ")}.` })
  }
  return one
})

export const grant = Command.make("grant").pipe(
  Command.withDescription("Let sandboxes use some accounts and keys, and no others"),
  Command.withSubcommands([add, list, edit, revoke]),
)
