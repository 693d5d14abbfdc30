/**
 * The flags that say what is granted, to whom, for how long and how often; for all commands that make or change grants.
 */
import { DateTime, Duration, Effect, Option, Schema, SchemaTransformation } from "effect"
import { Flag } from "effect/cli"
import { KeyPattern, Label, Permission, type Terms, Uid, Uses, usualPermissions } from "../../domain/Grant.ts"
import { AccountPatternFromString } from "../../domain/NamePattern.ts"
import * as Ownership from "../../system/Ownership.ts"
import { Typed } from "../AccountArgument.ts"
import { Lifetime } from "../Lifetime.ts"

/** Several in one argument, with commas between them. A name with a comma in it is typed with `*` in its place. */
const Pieces = Schema.String.pipe(
  Schema.decodeTo(
    Schema.Array(Schema.String),
    SchemaTransformation.transform({
      decode: (text): ReadonlyArray<string> => text.split(",").map((piece) => piece.trim()),
      encode: (pieces: ReadonlyArray<string>) => pieces.join(","),
    }),
  ),
)

const listOf = <S extends Schema.Codec<unknown, string>>(item: S) => Pieces.pipe(Schema.decodeTo(Schema.Array(item)))

/** Each time the flag is given adds to what it says. */
const repeated = <A>(flag: Flag.Flag<ReadonlyArray<A>>) =>
  flag.pipe(
    Flag.atLeast(0),
    Flag.map((lists) => lists.flat()),
  )

/** Those who may use a grant unless something else is said: we ourselves, or anybody where users have no numbers. */
export const ownUids = (): Terms["uids"] => (Ownership.uid() === -1 ? "any" : [Ownership.uid()])

/** Accounts that may be used. */
export const allow = Flag.String("allow").pipe(
  Flag.withDescription("Accounts: github, github:work, github:* or *; with commas between them, or again for more"),
  Flag.withMetavar("ACCOUNTS"),
  Flag.withSchema(listOf(Typed.pipe(Schema.decodeTo(AccountPatternFromString)))),
  repeated,
)

/** API keys that may be read. */
export const allowKey = Flag.String("allow-key").pipe(
  Flag.withDescription("API keys, by name or pattern; with commas between them, or again for more"),
  Flag.withMetavar("NAMES"),
  Flag.withSchema(listOf(KeyPattern)),
  repeated,
)

/** What may be done with the accounts; none if it was not said. */
export const operations = Flag.String("operations").pipe(
  Flag.withDescription(
    `What may be done with the accounts: ${Permission.literals.join(", ")}; ${usualPermissions.join(",")} unless said`,
  ),
  Flag.withMetavar("OPERATIONS"),
  Flag.withSchema(listOf(Permission)),
  Flag.optional,
)

/** How long it lasts. */
export const lifetime = Flag.String("for").pipe(
  Flag.withDescription("How long, e.g. 30m or 8h; without it, until it is ended"),
  Flag.withMetavar("TIME"),
  Flag.withSchema(Lifetime),
  Flag.filter(Duration.isGreaterThan(Duration.zero), () => "a time that is longer than none"),
  Flag.optional,
)

/** How often something may be handed out. */
export const uses = Flag.Int("uses").pipe(
  Flag.withDescription("How many tokens and keys may be handed out; without it, any number"),
  Flag.withMetavar("COUNT"),
  Flag.withSchema(Uses.check(Schema.isGreaterThan(0))),
  Flag.optional,
)

/** Who may connect; none if it was not said. */
export const uid = Flag.String("uid").pipe(
  Flag.withDescription(
    "The number of a user that may connect, as the host's kernel sees it, or any; again for more. Unless said, you",
  ),
  Flag.withMetavar("NUMBER"),
  Flag.withSchema(Schema.Union([Schema.Literal("any"), Schema.FiniteFromString.pipe(Schema.decodeTo(Uid))])),
  Flag.atLeast(0),
)

/** What a person calls it. */
export const label = Flag.String("label").pipe(
  Flag.withDescription("What to call it in lists, in questions and in the audit log"),
  Flag.withMetavar("TEXT"),
  Flag.withSchema(Label),
  Flag.optional,
)

/** What was said by {@link allow}, {@link allowKey}, {@link operations}, {@link lifetime}, {@link uses}, {@link uid}. */
export interface Said {
  readonly allow: Terms["accounts"]
  readonly allowKey: Terms["keys"]
  readonly operations: Option.Option<Terms["permissions"]>
  readonly lifetime: Option.Option<Duration.Duration>
  readonly uses: Option.Option<number>
  readonly uid: ReadonlyArray<"any" | number>
}

/** All of these flags; the label is for the command to add, which knows what to call it otherwise. */
export const flags = { allow, allowKey, operations, lifetime, uses, uid }

/** The terms of a new grant. `uids` are those who may connect unless something else was said. */
export const make = Effect.fnUntraced(function* (said: Said, label: string, uids: Terms["uids"]) {
  const now = yield* DateTime.now
  const [first, ...others] = said.uid.filter((uid) => uid !== "any")
  const terms: Terms = {
    label,
    accounts: said.allow,
    keys: said.allowKey,
    permissions: Option.getOrElse(said.operations, () => usualPermissions),
    approved: [],
    uids: said.uid.includes("any") ? "any" : first === undefined ? uids : [first, ...others],
    ...(Option.isSome(said.lifetime) && { expiresAt: DateTime.addDuration(now, said.lifetime.value) }),
    ...(Option.isSome(said.uses) && { usesLeft: said.uses.value }),
  }
  return terms
})
