/**
 * `helper api-key`: a bare key and a line end, as Claude Code's `apiKeyHelper` and others read it: the access token of an
 * account, or an API key.
 */
import { Effect, Option, Redacted } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Broker } from "../../broker/Broker.ts"
import { ApiKeyName } from "../../domain/ApiKey.ts"
import { oneLine } from "../../domain/RemoteText.ts"
import * as ApiKey from "../../helpers/ApiKey.ts"
import * as Shell from "../../helpers/Shell.ts"
import * as JsonText from "../../import/JsonText.ts"
import { join, Machine } from "../../import/Machine.ts"
import { account } from "../AccountArgument.ts"
import { yes } from "../Confirm.ts"
import { print } from "../Handouts.ts"
import { ThisProgram } from "../ThisProgram.ts"
import { UsageError } from "../UsageError.ts"
import * as Arguments from "./Arguments.ts"
import * as Change from "./Change.ts"

export const apiKey = Command.make(
  "api-key",
  {
    account: account.pipe(Argument.optional),
    key: Flag.String("key").pipe(
      Flag.withDescription("Print this API key, and no access token"),
      Flag.withSchema(ApiKeyName),
      Flag.optional,
    ),
    install: Arguments.install,
    uninstall: Arguments.uninstall,
    yes,
  },
  Effect.fn("helper.api-key")(function* (input) {
    if (Option.isSome(input.account) === Option.isSome(input.key)) {
      return yield* new UsageError({ detail: "Name either an account, or an API key with --key." })
    }
    const words = [
      ...Option.toArray(Option.map(input.account, String)),
      ...Option.match(input.key, { onNone: () => [], onSome: (name) => ["--key", name] }),
    ]
    if (input.install) return yield* install(words, input.yes)
    if (input.uninstall) return yield* uninstall(words, input.yes)
    if (Option.isSome(input.key)) {
      const broker = yield* Broker
      return yield* print(ApiKey.answer(Redacted.value(yield* broker.getApiKey(input.key.value))))
    }
    const { accessToken } = yield* Arguments.handout(Option.match(input.account, { onNone: () => "", onSome: String }))
    yield* print(ApiKey.answer(accessToken))
  }, Effect.provide(Machine.layer)),
).pipe(
  Command.withDescription("Print a bare key, for apiKeyHelper of Claude Code and the like"),
  Command.withExamples([
    { command: "tokenkeep helper api-key --key anthropic --install" },
    { command: "tokenkeep helper api-key example" },
  ]),
)

const field = "apiKeyHelper"

const settingsPath = Effect.map(Machine, ({ home, variables }) =>
  join(variables.CLAUDE_CONFIG_DIR ?? join(home, ".claude"), "settings.json"),
)

const suffixOf = (words: ReadonlyArray<string>) => Shell.command(["helper", "api-key", ...words])

const install = Effect.fnUntraced(function* (words: ReadonlyArray<string>, yes: boolean) {
  const program = yield* ThisProgram
  const path = yield* settingsPath
  const was = yield* Change.textAt(path)
  const text = Option.getOrElse(was, () => "{}\n")
  const there = Option.getOrUndefined(JsonText.valueAt(text, [field]))
  const command = `${Shell.command(program)} ${suffixOf(words)}`
  if (there !== undefined && there !== command) {
    return yield* new Change.NotChanged({
      detail: `${oneLine(path)} names an ${field} already. It was left as it is; take that out first.`,
    })
  }
  const next = JsonText.withValue(text, [field], command)
  if (Option.isNone(next)) {
    return yield* new Change.NotChanged({
      detail: `${oneLine(path)} is no JSON object. It was left as it is; mend it first.`,
    })
  }
  yield* Change.carryOut(
    there === command ? [] : [Change.rewrite(path, was, next.value, JSON.stringify({ [field]: command }))],
    {
      yes,
      none: "Claude Code asks tokenkeep already.",
      startsUs: true,
      done: `Claude Code has its key from tokenkeep from now on. Take that back with: tokenkeep ${suffixOf(words)} --uninstall`,
    },
  )
})

const uninstall = Effect.fnUntraced(function* (words: ReadonlyArray<string>, yes: boolean) {
  const path = yield* settingsPath
  const was = yield* Change.textAt(path)
  const text = Option.getOrElse(was, () => "")
  const there = Option.getOrUndefined(JsonText.valueAt(text, [field]))
  const isOurs = typeof there === "string" && there.endsWith(` ${suffixOf(words)}`)
  const next = isOurs ? yield* Change.without(path, text, [field]) : Option.none()
  yield* Change.carryOut(Option.isSome(next) ? [Change.rewrite(path, was, next.value, `no "${field}" any more`)] : [], {
    yes,
    none: Change.nothingToTakeBack,
    done: "Claude Code no longer asks tokenkeep.",
  })
})
