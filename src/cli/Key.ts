/**
 * `key`: API keys. On the host they are set, listed, printed and removed; through a socket listed and printed.
 */
import { Console, Effect, Option, Redacted, Schema, Stdio, Stream } from "effect"
import { Argument, Command, Prompt } from "effect/cli"
import { ascii } from "../domain/AsciiJson.ts"
import { ApiKeys } from "../broker/ApiKeys.ts"
import { Broker } from "../broker/Broker.ts"
import { ApiKey, ApiKeyName, longest } from "../domain/ApiKey.ts"
import { printable } from "../domain/RemoteText.ts"
import { Json } from "./GlobalFlags.ts"
import { onHost } from "./OnHost.ts"
import * as Prompts from "./Prompts.ts"
import * as Screen from "./Screen.ts"
import * as Services from "./Services.ts"
import { UsageError } from "./UsageError.ts"

const name = Argument.String("name").pipe(
  Argument.withDescription("What the key is called"),
  Argument.withSchema(ApiKeyName),
)

const here = onHost("API keys")

const decodeKey = Schema.decodeUnknownOption(ApiKey)

const rule = `A key is one line of printable ASCII, at most ${longest} characters, without a space at either end.`

/** Bytes that are read at most; there may be line ends after the key. */
const longestInput = longest + 1024

const piped = Effect.gen(function* () {
  const { stdin } = yield* Stdio.Stdio
  const text = yield* stdin.pipe(
    Stream.mapError(() => new UsageError({ detail: `The key was not set: stdin could not be read. ${rule}` })),
    Stream.limitBytes(longestInput, () =>
      Stream.fail(new UsageError({ detail: `The key was not set: it is too long. ${rule}` })),
    ),
    Stream.decodeText,
    Stream.mkString,
  )
  return Redacted.make(text.replace(/[\r\n]+$/, ""))
})

/** Asks a person, on stderr. */
const typed = (name: string) =>
  Prompts.putOrEnd(
    Prompt.Hidden({ message: `The key ${printable(name)}; it is not shown here` }),
    "The key was not set.",
  )

const set = Command.make(
  "set",
  { name },
  Effect.fn("key.set")(function* ({ name }) {
    yield* here
    const keys = yield* ApiKeys
    const { stdinIsTerminal } = yield* Stdio.Stdio
    const isTerminal = yield* stdinIsTerminal
    if (isTerminal && !(yield* Screen.canAsk)) {
      return yield* new UsageError({
        detail: `The key was not set: nobody can be asked for it here. Give it on stdin.`,
      })
    }
    const text = yield* isTerminal ? typed(name) : piped
    const key = decodeKey(Redacted.value(text))
    if (Option.isNone(key)) {
      const what = Redacted.value(text) === "" ? "nothing was given" : "it cannot be sent in a header"
      return yield* new UsageError({ detail: `The key was not set: ${what}. ${rule}` })
    }
    const known = yield* keys.list
    yield* keys.set(name, key.value)
    yield* Console.error(`${known.includes(name) ? "Replaced" : "Set"} the key ${printable(name)}.`)
  }),
).pipe(
  Command.withDescription("Set an API key, from stdin or typed where nobody sees it"),
  Command.withExamples([{ command: "tokenkeep key set example < key.txt" }]),
)

const list = Command.make(
  "list",
  {},
  Effect.fn("key.list")(function* () {
    const broker = yield* Broker
    const keys = (yield* broker.listApiKeys).toSorted()
    if (yield* Json) return yield* Console.log(ascii({ version: 1, keys }))
    if (keys.length === 0)
      yield* Console.error("There is no API key. Set one, where the host runs, with: tokenkeep key set")
    yield* Effect.forEach(keys, (name) => Console.log(printable(name)), { discard: true })
  }),
).pipe(Command.withDescription("List the names of the API keys"))

const get = Command.make(
  "get",
  { name },
  Effect.fn("key.get")(function* ({ name }) {
    const broker = yield* Broker
    const key = yield* broker.getApiKey(name)
    const { stdoutIsTerminal } = yield* Stdio.Stdio
    if (yield* stdoutIsTerminal) yield* Console.error("This is a secret; it is now on your screen.")
    yield* Console.log(Redacted.value(key))
  }),
).pipe(Command.withDescription("Print an API key"), Command.withExamples([{ command: "tokenkeep key get example" }]))

const remove = Command.make(
  "remove",
  { name },
  Effect.fn("key.remove")(function* ({ name }) {
    yield* here
    const keys = yield* ApiKeys
    const known = yield* keys.list
    yield* keys.remove(name)
    yield* Console.error(
      known.includes(name)
        ? `Removed the key ${printable(name)}. Whoever has read it still has it: revoke it where it came from.`
        : `There was no key ${printable(name)}; nothing changed. See the keys with: tokenkeep key list`,
    )
  }),
).pipe(Command.withDescription("Forget an API key"))

export const key = Command.make("key").pipe(
  Command.withDescription("API keys, which sandboxes may read and never write"),
  Command.withSubcommands([
    set.pipe(Command.provide(Services.local)),
    list.pipe(Command.provide(Services.either)),
    get.pipe(Command.provide(Services.either)),
    remove.pipe(Command.provide(Services.local)),
  ]),
)
