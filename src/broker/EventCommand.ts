/**
 * Runs a command for events, as the configuration file says in `onEvent`: the program and its arguments as a list, which no
 * shell sees; or `{"command": [...], "events": ["refresh_failed", ...]}` to choose for which. The event is on its stdin, as
 * JSON. What happens for each token that is asked for runs it only if it is named.
 *
 * One runs at a time, for 10 s at most. What it says is heard by nobody, and whatever it does stops nothing here.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { homedir } from "node:os"
import { join } from "node:path"
import { env } from "node:process"
import {
  type Cause,
  Config,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  FileSystem,
  Layer,
  Option,
  Queue,
  Schema,
} from "effect"
import { type AuthEvent, isOfTokens, toJson, type Type, types } from "../domain/AuthEvent.ts"
import { oneLine, printable } from "../domain/RemoteText.ts"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import { AuthEvents } from "./AuthEvents.ts"
import { BrokerConfig } from "./BrokerConfig.ts"

/** How long one command may take; then it is killed, with all that it has started. */
const timeLimit = Duration.seconds(10)

/** Events that wait for their command; there is none for what comes beyond these. */
const longest = 100

const Command = Schema.NonEmptyArray(Schema.String).check(
  Schema.makeFilter(([program]) => program !== "" || "the program has no name"),
)
const Chosen = Schema.Struct({ command: Command, events: Schema.optionalKey(Schema.Array(Schema.Literals(types))) })

const decodeFile = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({ onEvent: Schema.optionalKey(Schema.Unknown), providers: Schema.optionalKey(Schema.Unknown) }),
  ),
)
const decodeOnEvent = Schema.decodeUnknownOption(Schema.Union([Command, Chosen]))

interface OnEvent {
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly isWanted: (type: Type) => boolean
}

const isCommand = Schema.is(Command)

const onEventOf = (said: unknown): Option.Option<OnEvent> =>
  Option.map(decodeOnEvent(said), (decoded) => {
    const { command, events } = isCommand(decoded) ? { command: decoded, events: undefined } : decoded
    const [program, ...args] = command
    const named = new Set(events)
    return {
      program: program.startsWith("~/") ? join(homedir(), program.slice(2)) : program,
      args,
      isWanted: (type) => (events === undefined ? !isOfTokens(type) : named.has(type)),
    }
  })

/** By this a command is known, so that what it starts of tokenkeep does not start it again. */
const marker = "TOKENKEEP_EVENT"

/** What opens a door here, or at a provider. */
const isSecret = (name: string, secrets: ReadonlySet<string>) =>
  name.startsWith("TOKENKEEP_CAPABILITY") || secrets.has(name)

const environmentFor = (type: Type, secrets: ReadonlySet<string>) => ({
  ...Object.fromEntries(Object.entries(env).filter(([name]) => !isSecret(name, secrets))),
  [marker]: type,
})

const isSecretReference = Schema.is(Schema.Struct({ clientSecret: Schema.Struct({ env: Schema.String }) }))

/** The environment variables with client secrets in them: of what is configured, and of what is known. */
const secretsIn = (providers: unknown, definitions: ReadonlyArray<ProviderDefinition>): ReadonlySet<string> =>
  new Set(
    [
      ...(typeof providers === "object" && providers !== null ? Object.values(providers) : []),
      ...definitions.map(({ record }) => record),
    ]
      .filter(isSecretReference)
      .map(({ clientSecret }) => clientSecret.env),
  )

const kill = (child: ChildProcess) =>
  Effect.ignore(
    Effect.try(() => {
      // With all that it has started: it leads a group of its own.
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
        process.kill(-child.pid, "SIGKILL")
      }
    }),
  )

/** Runs the command to its end. What went wrong, if anything did. */
const run = ({ args, program }: OnEvent, event: AuthEvent, secrets: ReadonlySet<string>) =>
  Effect.gen(function* () {
    const ended = yield* Deferred.make<string | undefined>()
    const end = (problem?: string) => Deferred.doneUnsafe(ended, Exit.succeed(problem))
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn(program, args, {
          env: environmentFor(event._tag, secrets),
          stdio: ["pipe", "ignore", "ignore"],
          detached: true,
        })
        child
          .once("error", (error: NodeJS.ErrnoException) => end(`it cannot be run (${error.code ?? "unknown"})`))
          .once("exit", (code, signal) =>
            end(code === 0 ? undefined : code === null ? `it was ended by ${signal}` : `it ended with ${code}`),
          )
        // It need not read what it is told.
        child.stdin.on("error", () => {})
        child.stdin.end(`${toJson(event)}\n`)
        return child
      }),
      kill,
    )
    return yield* Deferred.await(ended).pipe(
      Effect.timeoutOrElse({
        duration: timeLimit,
        orElse: () => Effect.succeed(`it did not end within ${Duration.toSeconds(timeLimit)} s, and was killed`),
      }),
    )
  }).pipe(
    Effect.scoped,
    // A name that no program can have, as with a zero in it.
    Effect.catchDefect(() => Effect.succeed("it cannot be run")),
  )

/**
 * Runs the command of the configuration for what happens in the broker that is built over this layer. It is read once. When
 * the scope closes, what waits has its command run, for as long as one may take.
 */
export const layer: Layer.Layer<never, never, BrokerConfig | FileSystem.FileSystem> = Layer.effectDiscard(
  Effect.gen(function* () {
    const { configFile } = yield* BrokerConfig
    const fs = yield* FileSystem.FileSystem
    const events = yield* AuthEvents
    const isStarted = yield* Config.option(Config.String(marker)).pipe(Effect.orElseSucceed(Option.none))
    if (Option.isSome(isStarted)) return
    const content = yield* Effect.option(fs.readFileString(configFile))
    // What is wrong with the rest of the file is said where it is needed.
    const file = Option.flatMap(content, decodeFile)
    if (Option.isNone(file) || file.value.onEvent === undefined) return
    const onEvent = onEventOf(file.value.onEvent)
    if (Option.isNone(onEvent)) {
      return yield* Effect.logWarning(
        `What ${oneLine(configFile)} says in onEvent cannot be used, and no command is run for events. All else works. It is a list, ["program", "argument"], or {"command": [...], "events": [...]}, of: ${types.join(", ")}`,
      )
    }
    const secrets = secretsIn(file.value.providers, yield* ProviderDefinitions)
    const { isWanted, program } = onEvent.value
    const queue = yield* Queue.make<AuthEvent, Cause.Done>({ capacity: longest, strategy: "dropping" })
    let dropped = 0
    const complained = new Set<string>()
    const complain = (problem: string) =>
      Effect.suspend(() => {
        if (complained.has(problem)) return Effect.void
        complained.add(problem)
        return Effect.logWarning(
          `The onEvent command ${printable(program)}: ${problem}. It goes on; this is not said again.`,
        )
      })

    const work = Queue.take(queue).pipe(
      Effect.flatMap((event) => run(onEvent.value, event, secrets)),
      Effect.flatMap((problem) => (problem === undefined ? Effect.void : complain(problem))),
      Effect.andThen(
        Effect.suspend(() =>
          dropped === 0 ? Effect.void : complain("it is too slow, and is not run for all that happens"),
        ),
      ),
      Effect.forever,
      Effect.ignore,
    )
    // Not a fiber of the scope, which would end it in the middle.
    yield* Effect.acquireRelease(Effect.forkDetach(work), (fiber) =>
      Effect.gen(function* () {
        Queue.endUnsafe(queue)
        const isDone = yield* Effect.timeoutOption(Fiber.await(fiber), timeLimit)
        if (Option.isSome(isDone)) return
        yield* complain("it was not run for all that happened, because tokenkeep has ended")
        yield* Fiber.interrupt(fiber)
      }),
    )
    yield* Effect.acquireRelease(
      Effect.sync(() =>
        events.listen({ tokens: types.some((type) => isOfTokens(type) && isWanted(type)) }, (event) => {
          if (isWanted(event._tag) && !Queue.offerUnsafe(queue, event)) dropped++
        }),
      ),
      (stop) => Effect.sync(stop),
    )
  }),
).pipe(Layer.provide(AuthEvents.layer))
