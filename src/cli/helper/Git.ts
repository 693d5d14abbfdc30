/**
 * `helper git`: a credential helper of git. What it does not know, or may not answer, it passes over in silence, as git
 * wants it; where a host is bound and there is no token, nobody else is asked.
 */
import { Console, Effect, Option } from "effect"
import { Command } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import { Broker } from "../../broker/Broker.ts"
import type { AccountKey } from "../../domain/AccountKey.ts"
import { printable } from "../../domain/RemoteText.ts"
import * as Git from "../../helpers/Git.ts"
import type { Typed } from "../../helpers/HostBinding.ts"
import * as Shell from "../../helpers/Shell.ts"
import { yes } from "../Confirm.ts"
import { print } from "../Handouts.ts"
import { ThisProgram } from "../ThisProgram.ts"
import { UsageError } from "../UsageError.ts"
import * as Arguments from "./Arguments.ts"
import * as Change from "./Change.ts"

export const git = Command.make(
  "git",
  {
    words: Arguments.words,
    hosts: Arguments.hosts,
    username: Arguments.username,
    install: Arguments.install,
    uninstall: Arguments.uninstall,
    yes,
  },
  Effect.fn("helper.git")(function* (input) {
    const { account, action, isOther } = Arguments.split(input.words, Git.isAction)
    const username = Option.getOrUndefined(input.username)
    const typed = { account, hosts: input.hosts, username }
    if (input.install) return yield* install(yield* Arguments.required(account), typed, input.yes)
    if (input.uninstall) return yield* uninstall(yield* Arguments.required(account), typed, input.yes)
    if (action === undefined && !isOther) {
      return yield* new UsageError({
        detail:
          "git says itself what it wants: get, store or erase. Have it use this with: tokenkeep helper git ACCOUNT --host HOST --install",
      })
    }
    switch (action) {
      case "get":
        return yield* get(typed)
      case "erase":
        return yield* erase(typed)
      case "capability":
        return yield* Console.log(Git.capability.trimEnd())
      default:
        // Nothing that git has is stored, and what it may want one day is not known.
        return
    }
  }, Effect.provide(SecureRandom.layerWebCrypto)),
).pipe(
  Command.withDescription("Answer git's questions for credentials"),
  Command.withExamples([
    { command: "tokenkeep helper git github --host github.com --install" },
    { command: "tokenkeep helper git github --uninstall" },
  ]),
)

const get = Effect.fnUntraced(function* (typed: Typed) {
  const request = Git.parse(yield* Arguments.input)
  if (request._tag === "Nothing") {
    return yield* request.why === undefined ? Effect.void : Console.error(`tokenkeep: ${request.why}`)
  }
  const binding = yield* Arguments.bindingFor(typed, request.host)
  if (binding === undefined) return
  yield* Arguments.handout(binding.account).pipe(
    Effect.flatMap((handout) => print(Git.answer(request, binding, handout))),
    Effect.tapError(() => Console.log(Git.quit.trimEnd())),
  )
})

/**
 * git's servers did not take a token. If it is the one that is kept, another one is got in its place, as far as there may be
 * one so soon. Nobody is logged out: only the provider's own word ends a login.
 */
const erase = Effect.fnUntraced(function* (typed: Typed) {
  const request = Git.parse(yield* Arguments.input)
  if (request._tag === "Nothing" || request.secret === undefined) return
  const binding = yield* Arguments.bindingFor(typed, request.host)
  if (binding === undefined) return
  const broker = yield* Broker
  const account = yield* Arguments.accountOf(binding.account)
  yield* Arguments.handout(binding.account).pipe(
    Effect.flatMap(({ accessToken }) =>
      accessToken === request.secret ? Effect.asVoid(broker.refreshToken(account)) : Effect.void,
    ),
    Effect.catch((error) => Effect.logDebug(error.message)),
  )
})

const keyOf = (host: string) => {
  const isLocal = /^(?:localhost|127\.[\d.]+|\[::1\]):\d+$/.test(host)
  return `credential.${isLocal ? "http" : "https"}://${host}.helper`
}

const config = (...args: ReadonlyArray<string>) => ["config", "--global", ...args]

/** What git has configured for a host, in its order. */
const valuesOf = Effect.fnUntraced(function* (host: string) {
  const said = yield* Change.ask("git", config("--null", "--get-all", keyOf(host)))
  return Option.match(said, { onNone: () => [], onSome: (text) => text.split("\0").slice(0, -1) })
})

const valueFor = (program: ReadonlyArray<string>, account: AccountKey) =>
  `!${Shell.command([...program, "helper", "git", account.toString()])}`

const isOurs = (account: AccountKey) => (value: string) =>
  value.startsWith("!") && value.endsWith(` helper git ${Shell.quoted(account.toString())}`)

const install = Effect.fnUntraced(function* (account: AccountKey, { hosts, username }: Typed, yes: boolean) {
  const program = yield* ThisProgram
  const meant = yield* Change.meant(account, hosts ?? [])
  if (meant.length === 0) {
    return yield* new UsageError({
      detail: "Name the host whose servers are to get the token, like --host github.com.",
    })
  }
  if (Option.isNone(yield* Change.ask("git", ["--version"]))) {
    return yield* new Change.NotChanged({ detail: "There is no git here. Nothing was changed." })
  }
  const value = valueFor(program, account)
  const steps = yield* Effect.forEach(meant, (host) =>
    Effect.map(valuesOf(host), (values) =>
      values.some(isOurs(account))
        ? []
        : [
            // Whoever was configured before is not asked, and so is not shown the token to store.
            Change.run("git", config("--add", keyOf(host), "")),
            Change.run("git", config("--add", keyOf(host), value)),
          ],
    ),
  )
  yield* Change.carryOut([...(yield* Change.bind(account, meant, username)), ...steps.flat()], {
    yes,
    none: `git asks tokenkeep for ${meant.map(printable).join(", ")} already.`,
    startsUs: true,
    done: `git asks tokenkeep for ${meant.map(printable).join(", ")} from now on. Take that back with: ${Shell.command(["tokenkeep", "helper", "git", account.toString(), "--uninstall"])}`,
  })
})

/** What takes our value out of git's configuration of a host; nothing if it is not there. */
const removal = (account: AccountKey, host: string, values: ReadonlyArray<string>): ReadonlyArray<Change.Step> => {
  const at = values.findLastIndex(isOurs(account))
  const value = values[at]
  if (value === undefined) return []
  const isReset = values[at - 1] === ""
  const remaining = values.toSpliced(isReset ? at - 1 : at, isReset ? 2 : 1)
  const isOnly = (text: string) => values.filter((other) => other === text).length === 1
  // git removes what a pattern names; where that would be more than ours, the others are written again.
  return isOnly(value) && (!isReset || isOnly(""))
    ? [
        Change.run("git", config("--fixed-value", "--unset", keyOf(host), value)),
        ...(isReset ? [Change.run("git", config("--unset", keyOf(host), "^$"))] : []),
      ]
    : [
        Change.run("git", config("--unset-all", keyOf(host))),
        ...remaining.map((other) => Change.run("git", config("--add", keyOf(host), other))),
      ]
}

const uninstall = Effect.fnUntraced(function* (account: AccountKey, { hosts }: Typed, yes: boolean) {
  const meant = yield* Change.meant(account, hosts ?? [])
  const removals = yield* Effect.forEach(meant, (host) =>
    Effect.map(valuesOf(host), (values) => ({ host, steps: removal(account, host, values) })),
  )
  const ours = removals.filter(({ steps }) => steps.length > 0)
  const unbound = yield* Change.unbind(
    account,
    ours.map(({ host }) => host),
  )
  yield* Change.carryOut([...ours.flatMap(({ steps }) => steps), ...unbound], {
    yes,
    none: Change.nothingToTakeBack,
    done: `git no longer asks tokenkeep for ${ours.map(({ host }) => printable(host)).join(", ")}.`,
  })
})
