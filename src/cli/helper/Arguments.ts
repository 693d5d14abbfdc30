/**
 * What all helpers have in common: whose token it is, where it may go, and what a tool says on stdin.
 */
import { Console, Effect, Schema, Stdio, Stream } from "effect"
import { Argument, Flag } from "effect/cli"
import { Broker } from "../../broker/Broker.ts"
import * as HostsFile from "../../broker/HostsFile.ts"
import { type AccountKey, AccountKeyFromString } from "../../domain/AccountKey.ts"
import { oneLine, printable } from "../../domain/RemoteText.ts"
import * as HostBinding from "../../helpers/HostBinding.ts"
import { Typed } from "../AccountArgument.ts"
import { handoutOf } from "../Handouts.ts"
import { UsageError } from "../UsageError.ts"

const Host = Schema.String.check(
  Schema.makeFilter(
    (text) => HostBinding.hostOf(text) !== undefined || "expected a host in ASCII, like github.com or git.example:8443",
  ),
)

export const hosts = Flag.String("host").pipe(
  Flag.withDescription("A host that the token may go to, exactly, with its port if it is not 443; repeat for more"),
  Flag.withSchema(Host),
  Flag.atLeast(0),
)

export const username = Flag.String("username").pipe(
  Flag.withDescription("The user name that the servers want beside a token"),
  Flag.withSchema(
    Schema.String.check(
      Schema.makeFilter((text) => HostBinding.isUserName(text) || "expected visible ASCII without a colon"),
    ),
  ),
  Flag.optional,
)

export const install = Flag.Boolean("install").pipe(
  Flag.withDescription("Have the tool use this; shows what changes, and asks"),
  Flag.withDefault(false),
)

export const uninstall = Flag.Boolean("uninstall").pipe(
  Flag.withDescription("Take that back; what was changed since stays as it is"),
  Flag.withDefault(false),
)

/** `[ACCOUNT] [ACTION]`: the tool writes its action behind all that was configured. */
export const words = Argument.String("account").pipe(
  Argument.withDescription("The account, where the configuration does not say it; behind it what the tool asks for"),
  Argument.variadic({ min: 0, max: 2 }),
)

const decodeAccount = Schema.decodeUnknownOption(Typed.pipe(Schema.decodeTo(AccountKeyFromString)))

/** The account of a text, typed or configured. */
export const accountOf = (text: string): Effect.Effect<AccountKey, UsageError> =>
  Effect.mapError(
    Effect.fromOption(decodeAccount(text)),
    () => new UsageError({ detail: `${printable(text)} is not the name of an account.` }),
  )

/** The words apart. */
export const split = <Action extends string>(
  words: ReadonlyArray<string>,
  isAction: (text: string) => text is Action,
): { readonly account: string | undefined; readonly action: Action | undefined; readonly isOther: boolean } => {
  const [first, second] = words
  if (second !== undefined) {
    const action = isAction(second) ? second : undefined
    return { account: first, action, isOther: action === undefined }
  }
  return first !== undefined && isAction(first)
    ? { account: undefined, action: first, isOther: false }
    : { account: first, action: undefined, isOther: false }
}

/** The account that a flag like `--install` is for. */
export const required = (account: string | undefined): Effect.Effect<AccountKey, UsageError> =>
  account === undefined
    ? Effect.fail(new UsageError({ detail: "Name the account whose token it is." }))
    : accountOf(account)

/** What a tool says at most. */
const longest = 65_536

/** What the tool says. */
export const input = Effect.gen(function* () {
  const { stdin } = yield* Stdio.Stdio
  const refused = new UsageError({ detail: "What is asked for on stdin could not be read, or is too long." })
  return yield* stdin.pipe(
    Stream.mapError(() => refused),
    Stream.limitBytes(longest, () => Stream.fail(refused)),
    Stream.decodeText,
    Stream.mkString,
  )
})

/** What a host gets; nothing where it is not bound. */
export const bindingFor = Effect.fnUntraced(function* (typed: HostBinding.Typed, host: string) {
  const { configFile, hosts, mistakes } = yield* HostsFile.read
  if (mistakes.length > 0) {
    yield* Console.error(
      `tokenkeep: what ${oneLine(configFile)} says of ${mistakes.map(printable).join(", ")} in "hosts" binds nothing: a host is in lower case, whole, without a * or the port 443, and stands for an account.`,
    )
  }
  const binding = HostBinding.bindingFor(hosts, typed, host)
  if (binding === undefined) yield* Effect.logDebug(`${host} is not bound to ${typed.account ?? "any account"}`)
  return binding
})

/** The token of an account. */
export const handout = Effect.fnUntraced(function* (account: string) {
  const broker = yield* Broker
  return handoutOf(yield* broker.getToken(yield* accountOf(account)))
})
