/**
 * A line that a person pastes, or a program sends, into a login.
 *
 * On a terminal it is read key by key: a terminal that gathers lines itself cuts them off, at 1,024 characters on macOS,
 * and shows them, though there is a code in them.
 */
import { type Cause, Data, Effect, Option, Queue, Stdio, Stream, Terminal } from "effect"

/** The person wants no more: while keys are read the terminal does not say so by itself. */
export class Stopped extends Data.TaggedError("Stopped")<{}> {}

/** Well above any address that a browser ends on. */
const longest = 64 * 1024

/** What was typed since, applied to the text; the line, if it is complete. */
const apply = (text: string, typed: ReadonlyArray<Terminal.UserInput>) => {
  let line = text
  for (const { input, key } of typed) {
    const isStop = key.ctrl && key.name === "c"
    if (isStop) return { line, end: "stop" } as const
    if (key.name === "return" || key.name === "enter") {
      // An empty line is a slip of the finger.
      if (line.trim() !== "") return { line, end: "line" } as const
      line = ""
    } else if (key.name === "backspace") line = line.slice(0, -1)
    else if (key.name === "escape" || key.ctrl || key.meta) line = ""
    else line += Option.getOrElse(input, () => "").replace(/\p{Cc}/gu, "")
  }
  return { line: line.slice(0, longest), end: "none" } as const
}

/** A line from the keys of a terminal; nothing, if there are no more keys. Says how many characters it has so far. */
export const fromKeys = Effect.fnUntraced(function* (onChange: (length: number) => Effect.Effect<void>) {
  const terminal = yield* Terminal.Terminal
  let text = ""
  while (true) {
    const read: Option.Option<string> | "over" = yield* Effect.scoped(
      Effect.gen(function* () {
        const input = yield* terminal.readInput
        while (true) {
          const typed = yield* Queue.takeAll(input)
          const { end, line } = apply(text, typed)
          text = line
          if (end === "stop") return yield* new Stopped()
          if (end === "line") return Option.some(line)
          yield* onChange(line.length)
          // The terminal takes these keys for the end of what is typed, though they mean less here.
          const hasEnded = typed.some(({ key }) => key.name === "escape" || (key.ctrl && key.name === "d"))
          if (hasEnded) return Option.none<string>()
        }
      }),
    ).pipe(Effect.catchTag("Done", () => Effect.succeed("over" as const)))
    if (read === "over") return Option.none<string>()
    if (Option.isSome(read)) {
      yield* onChange(0)
      return read
    }
  }
})

/** Reads stdin while the scope is open. `next` is the next line in it, or nothing, if there is no more. */
export const fromLines = Effect.gen(function* () {
  const { stdin } = yield* Stdio.Stdio
  const lines = yield* Queue.make<string, Cause.Done>()
  yield* stdin.pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.filter((line) => line.trim() !== ""),
    Stream.runForEach((line) => Queue.offer(lines, line)),
    Effect.ignore,
    Effect.andThen(Queue.end(lines)),
    Effect.forkScoped,
  )
  const next = Queue.take(lines).pipe(
    Effect.asSome,
    Effect.catchTag("Done", () => Effect.succeedNone),
  )
  return { next }
})
