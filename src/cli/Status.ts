/**
 * `status`: the logins and how they are, without any secret.
 */
import { Console, DateTime, Effect, Option, Stdio, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import { ascii } from "../domain/AsciiJson.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Failures from "./Failures.ts"
import { Json } from "./GlobalFlags.ts"
import { instant } from "./Instant.ts"
import { LoginStatus } from "./status/LoginStatus.ts"
import { inProgram, ProgramName } from "./ProgramName.ts"
import * as Screen from "./Screen.ts"
import * as StatusTable from "./status/StatusTable.ts"
import { needAttention, type Survey, take, toJson } from "./status/Survey.ts"
import { UsageError } from "./UsageError.ts"
import { Window } from "./status/Window.ts"

const legend = Object.entries(StatusTable.states)
  .map(([state, [, meaning]]) => `${state}  ${meaning}`)
  .join("\n")

/**
 * `status`. Needs {@link LoginStatus}. A table on stdout, or with `--json` one document with
 * instants in ISO 8601. Ends with 1, and no error, if a login needs somebody; fails if the logins cannot be listed, and with
 * `UsageError` where `--watch` has nothing to draw on.
 */
export const status = Command.make(
  "status",
  {
    watch: Flag.Boolean("watch").pipe(
      Flag.withDescription("Show it again and again until Ctrl-C; with --json, a line whenever something has changed"),
      Flag.withDefault(false),
    ),
  },
  Effect.fn("status")(function* ({ watch }) {
    const json = yield* Json
    if (watch) return yield* json ? follow : redraw
    const survey = yield* take
    yield* json ? Console.log(ascii(toJson(survey))) : show(survey)
    if (needAttention(survey).length > 0) yield* ExitCode.set(1)
  }, Effect.tapError(Failures.mark)),
).pipe(
  Command.withShortDescription("Show the logins, and which of them need you"),
  Command.withDescription(
    `Show the logins: how they are, when their tokens expire and are renewed, and who was granted them. Exits with 1 if one of them needs somebody: in any state but ok and expiring, or after a refresh that was refused. Through a socket it asks for each token, as any program would.\n\n${legend}`,
  ),
  Command.withExamples([{ command: "tokenkeep status --watch" }, { command: "tokenkeep status --json" }]),
)

const nobody = Effect.map(ProgramName, (program) =>
  inProgram(program, "Nobody is logged in. Log in with: tokenkeep login PROVIDER"),
)

/** What is read by a program, or kept in a file, has no width. */
const widthOf = ({ columns, isTerminal }: Screen.Look): number => (isTerminal ? columns() : Infinity)

const show = Effect.fnUntraced(function* (survey: Survey) {
  if (survey.logins.length === 0) return yield* Console.error(yield* nobody)
  const stdout = yield* Screen.stdout
  const stderr = yield* Screen.stderr
  yield* Console.log(StatusTable.table(survey, stdout, widthOf(stdout)).join("\n"))
  const notes = StatusTable.notes(survey, stderr, stderr.columns())
  if (notes.length > 0) yield* Console.error(notes.join("\n"))
})

/** How often is looked again. Nothing tells of what other processes do but the files, and times go by anyway. */
const pace = "2 seconds"

const mayBeWatched = Effect.gen(function* () {
  const { isFree } = yield* LoginStatus
  if (isFree) return
  return yield* new UsageError({
    detail:
      "Through a socket each look would take a token of every login. Watch on the host, or without TOKENKEEP_SOCKET.",
  })
})

/** A snapshot per line, whenever it differs from the one before. */
const follow = Effect.gen(function* () {
  yield* mayBeWatched
  const { closed } = yield* Window
  let before = ""
  const look = Effect.gen(function* () {
    const survey = yield* take
    const json = toJson(survey)
    const text = JSON.stringify(json)
    if (text !== before) yield* Console.log(ascii({ ...json, ...instant("at", Option.some(survey.at)) }))
    before = text
  })
  yield* Effect.raceFirst(Effect.forever(Effect.andThen(look, Effect.sleep(pace))), closed)
})

// ECMA-48, and the private modes of xterm: another screen, which leaves what was on this one as it was; no cursor.
const enter = "\u001B[?1049h\u001B[?25l"
const leave = "\u001B[?25h\u001B[?1049l"
const home = "\u001B[H"
const eraseLine = "\u001B[K"
const eraseBelow = "\u001B[J"

const redraw = Effect.gen(function* () {
  yield* mayBeWatched
  const look = yield* Screen.stdout
  if (!look.canRedraw) {
    return yield* new UsageError({
      detail: "--watch draws on a terminal, and this is none. For a program: --watch --json.",
    })
  }
  const { closed, resized, rows } = yield* Window
  const { stdout } = yield* Stdio.Stdio
  const write = (text: string) => Effect.ignore(Stream.run(Stream.succeed(text), stdout()))
  const placeholder = yield* nobody
  let last: ReadonlyArray<string> = []

  const draw = (lines: ReadonlyArray<string>) => {
    last = lines
    // The last line of the screen stays free: what ends in it would move all the others up.
    const room = Math.max(1, rows() - 1)
    const hidden = lines.length - room
    const seen = hidden > 0 ? [...lines.slice(0, room - 1), look.paint("dim", `and ${hidden + 1} more lines`)] : lines
    return write(`${home}${seen.map((line) => `${line}${eraseLine}\n`).join("")}${eraseBelow}`)
  }

  const linesOf = (survey: Survey): ReadonlyArray<string> => {
    if (survey.logins.length === 0) return [placeholder]
    const width = look.columns()
    return [...StatusTable.table(first(survey, rows()), look, width), ...StatusTable.notes(survey, look, width)]
  }

  const again = Effect.gen(function* () {
    // What cannot be read now may be readable in a moment.
    const now = yield* Effect.result(take)
    const title = look.paint("dim", `${DateTime.formatIso(yield* DateTime.now).slice(11, 19)} UTC, Ctrl-C ends`)
    yield* draw([title, "", ...(now._tag === "Success" ? linesOf(now.success) : [now.failure.message])])
  })
  yield* Effect.acquireUseRelease(
    write(enter),
    () => Effect.forever(Effect.andThen(again, Effect.raceFirst(Effect.sleep(pace), resized))),
    // What was seen last stays to be read.
    () => Effect.suspend(() => write(`${leave}${last.map((line) => `${line}\n`).join("")}`)),
  ).pipe(Effect.raceFirst(closed))
})

/** Where not all can be seen, what needs somebody is seen first. */
const first = (survey: Survey, rows: number): Survey =>
  survey.logins.length + 4 < rows
    ? survey
    : {
        ...survey,
        logins: survey.logins.toSorted((one, other) => Number(other.needsAttention) - Number(one.needsAttention)),
      }
