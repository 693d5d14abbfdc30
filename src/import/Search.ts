/**
 * Looks for the logins of other tools on this machine. Nothing is changed, and no other program is started.
 */
import { Context, DateTime, Effect, Equal, Layer, Option, Path, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import * as Account from "../domain/AccountKey.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import { oneLine } from "../domain/RemoteText.ts"
import { groupOrOthersMayDoAnything } from "../system/Ownership.ts"
import { type Content, type Entry, type Place, type State, stateOf } from "./LoginEntry.ts"
import { Machine } from "./Machine.ts"
import type { Tool } from "./Tool.ts"
import * as ToolFile from "./ToolFile.ts"
import { tools } from "./Tools.ts"

/** A login of another tool. */
export interface FoundLogin {
  readonly tool: Tool
  /** What tells it from others of the tool: whose it is, or what the file calls it. */
  readonly account: string
  /** The account that it becomes here; none where a person has to name the provider. */
  readonly suggestion: Option.Option<AccountKey>
  readonly path: string
  readonly entry: string
  /** Reads the file again. */
  readonly read: Place["read"]
  readonly rotates: boolean
  readonly content: Content
  readonly state: State
  readonly why: Option.Option<string>
}

/** What a person should know of a file. */
export interface Remark {
  readonly tool: Tool
  readonly path: string
  /** A sentence. */
  readonly detail: string
}

export interface Found {
  readonly logins: ReadonlyArray<FoundLogin>
  readonly remarks: ReadonlyArray<Remark>
}

export class Search extends Context.Service<Search, { readonly find: Effect.Effect<Found> }>()(
  "tokenkeep/import/Search",
) {
  static readonly layerNoDeps = Layer.effect(
    this,
    Effect.gen(function* () {
      const machine = yield* Machine
      const files = yield* ToolFile.make
      const paths = yield* Path.Path

      const ownerOf = Effect.fnUntraced(function* ({ owner }: Place) {
        if (owner === undefined) return undefined
        const file = yield* Effect.orElseSucceed(files.read(owner.path), () => Option.none<ToolFile.Content>())
        return Option.isNone(file) ? undefined : owner.read(file.value.text)
      })

      const look = Effect.fnUntraced(function* (tool: Tool, place: Place) {
        // Of a relative one, and of what is adopted from it, something else would become in another folder.
        const path = paths.isAbsolute(place.path) ? place.path : paths.resolve(place.path)
        const remark = (detail: string): Remark => ({ tool, path, detail })
        const read = yield* Effect.option(files.read(path))
        if (Option.isNone(read)) return { entries: [], remarks: [remark(`${oneLine(path)} cannot be read.`)] }
        if (Option.isNone(read.value)) return { entries: [], remarks: [] }
        const { mode, text, uid } = read.value.value
        const reading = place.read(text)
        if (Option.isNone(reading)) {
          return { entries: [], remarks: [remark(`${oneLine(path)} is damaged. It was left as it is.`)] }
        }
        const isOthers = machine.uid !== -1 && Option.exists(uid, (owner) => owner !== machine.uid)
        const isOpen = machine.uid !== -1 && (mode & groupOrOthersMayDoAnything) !== 0
        const isSecret = reading.value.some(({ content }) => content._tag === "Token")
        const remarks = [
          ...(isSecret && isOthers ? [remark(`${oneLine(path)} belongs to another user.`)] : []),
          ...(isSecret && isOpen
            ? [
                remark(
                  `${oneLine(path)} can be read by others (mode ${mode.toString(8).padStart(4, "0")}): chmod 600 it.`,
                ),
              ]
            : []),
        ]
        const owner = yield* ownerOf(place)
        const entries = reading.value.map((entry) => ({
          ...entry,
          path,
          read: place.read,
          ...(entry.account === undefined && owner !== undefined && { account: owner }),
        }))
        return { entries, remarks }
      })

      const lookFor = Effect.fnUntraced(function* (tool: Tool, now: DateTime.Utc) {
        const entries: Array<EntryAt> = []
        const remarks: Array<Remark> = []
        for (const place of tool.places(machine)) {
          if (place.onlyIfNothingElse === true && entries.length > 0) continue
          const seen = yield* look(tool, place)
          entries.push(...seen.entries.filter((entry) => !entries.some((other) => isSameToken(entry, other))))
          remarks.push(...seen.remarks)
        }
        return { logins: named(tool, entries, now), remarks }
      })

      return Search.of({
        find: Effect.gen(function* () {
          const now = yield* DateTime.now
          const found = yield* Effect.forEach(tools, (tool) => lookFor(tool, now))
          const logins = found.flatMap(({ logins }) => logins)
          return {
            logins,
            remarks: [...found.flatMap(({ remarks }) => remarks), ...logins.flatMap((login) => sharing(login, logins))],
          }
        }).pipe(Effect.withSpan("Search.find")),
      })
    }),
  )

  static readonly layer = this.layerNoDeps.pipe(Layer.provide([Machine.layer, SecureRandom.layerWebCrypto]))
}

type EntryAt = Entry & { readonly path: string; readonly read: Place["read"] }

/** Those of other tools that are one login with this: where its token is good once, the first to use it ends all of them. */
export const sharers = (login: FoundLogin, all: ReadonlyArray<FoundLogin>): ReadonlyArray<FoundLogin> =>
  login.rotates ? all.filter((other) => other.tool !== login.tool && isSameToken(login, other)) : []

/** Said once, of the last of them. */
const sharing = (login: FoundLogin, all: ReadonlyArray<FoundLogin>): ReadonlyArray<Remark> => {
  const others = sharers(login, all)
  if (others.length === 0 || others.some((other) => all.indexOf(other) > all.indexOf(login))) return []
  const files = [...others, login].map(({ path }) => oneLine(path)).join(" and ")
  return [
    {
      tool: login.tool,
      path: login.path,
      detail: `${files} have one refresh token, which is good once: the first that uses it logs the other out.`,
    },
  ]
}

const isSameToken = (one: Pick<Entry, "content">, other: Pick<Entry, "content">) =>
  one.content._tag === "Token" &&
  other.content._tag === "Token" &&
  one.content.token.refreshToken !== undefined &&
  Equal.equals(one.content.token.refreshToken, other.content.token.refreshToken)

/** The logins of one tool, each with a name of its own. */
const named = (tool: Tool, entries: ReadonlyArray<EntryAt>, now: DateTime.Utc): ReadonlyArray<FoundLogin> => {
  const used = new Set<string>()
  return entries.map(({ account = Account.defaultBucket, content, entry, path, provider, read, rotates }) => {
    let name = account
    for (let n = 2; used.has(name); n++) name = `${account}-${n}`
    used.add(name)
    const isOnly = entries.filter((other) => other.provider === provider).length === 1
    return {
      tool,
      account: name,
      suggestion: Option.fromUndefinedOr(provider).pipe(
        Option.flatMap((provider) => decodeAccount({ provider, bucket: isOnly ? Account.defaultBucket : name })),
      ),
      path,
      entry,
      read,
      rotates,
      content,
      ...stateOf(content, now),
    }
  })
}

const decodeAccount = Schema.decodeUnknownOption(Account.AccountKey)
