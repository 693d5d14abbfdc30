/**
 * Asks a program of the system for a login that is in no file: by argument vector, never through a shell, and only when that
 * login is wanted.
 */
import { Data, Effect, Option } from "effect"
import { Digest } from "effect/crypto"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import * as Claude from "./Claude.ts"
import { type Ask, type Content, contentOf } from "./LoginEntry.ts"

/** It did not say it. */
export class NotTold extends Data.TaggedError("NotTold")<{ readonly program: string }> {
  override get message(): string {
    return `${this.program} did not give the login. Nothing was changed; see what it says itself, or log in anew here.`
  }
}

/** A person may have to unlock something first. */
const patience = "2 minutes"

const ask = Effect.fnUntraced(function* (program: string, args: ReadonlyArray<string>) {
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  const said = yield* spawner.string(ChildProcess.make(program, args)).pipe(
    Effect.mapError(() => new NotTold({ program })),
    Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail(new NotTold({ program })) }),
  )
  return said.trim()
})

/** What there is of the login. */
export const contentFor = Effect.fnUntraced(function* (
  asked: Ask,
): Effect.fn.Return<Content, NotTold, Digest.Digest | ChildProcessSpawner.ChildProcessSpawner> {
  if (asked._tag === "Gh") {
    const user = asked.user === undefined ? [] : ["--user", asked.user]
    const token = yield* ask("gh", ["auth", "token", "--hostname", asked.host, ...user])
    if (!/^[\x21-\x7e]+$/.test(token)) return yield* new NotTold({ program: "gh" })
    return contentOf({ accessToken: token, refreshToken: undefined, expiry: "never" })
  }
  const digest = yield* Digest.Digest
  const suffix =
    asked.suffixOf === undefined
      ? ""
      : `-${(yield* digest.digestHex(Digest.sha256, new TextEncoder().encode(asked.suffixOf))).slice(0, 8)}`
  const text = yield* ask("security", [
    "find-generic-password",
    "-s",
    asked.service + suffix,
    "-a",
    asked.account,
    "-w",
  ])
  const [entry] = Option.getOrElse(Claude.read(text), () => [])
  return entry === undefined ? yield* new NotTold({ program: "security" }) : entry.content
})
