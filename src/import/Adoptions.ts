/**
 * Logins that were adopted: the refresh token is kept here, and the tool that it came from has the access token only, which
 * is written into its file after each refresh.
 *
 * What a tool puts up with where the refresh token should be:
 *
 * | tool | what is left there | because |
 * |---|---|---|
 * | Claude Code | an empty text | its long-lived tokens have none either; with an expiry of 0 the login would be dead |
 * | Codex | an empty text | the field must be a text |
 * | opencode | an empty text | the field must be a text |
 * | Qwen Code | cannot be adopted | it refuses a file without a refresh token |
 * | Gemini CLI, gh, Copilot, ccproxy | need not be adopted | their tokens do not rotate |
 *
 * None of this was tried with the tools themselves. A tool that has changed its login meanwhile is left alone.
 */
import { Context, DateTime, Effect, Layer, Option, Path, Redacted, Schema } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import { Adopted } from "../broker/Adopted.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import { BucketName, ProviderName } from "../domain/AccountKey.ts"
import * as Account from "../domain/AccountKey.ts"
import type { AccountRecord } from "../domain/AccountRecord.ts"
import { StoreCorrupt, type StoreUnavailable } from "../domain/Errors.ts"
import { oneLine, printable } from "../domain/RemoteText.ts"
import type { StoredToken } from "../domain/Token.ts"
import { textIn } from "../oauth/JsonObject.ts"
import * as FileName from "../system/FileName.ts"
import * as PrivateFile from "../system/PrivateFile.ts"
import * as JsonText from "./JsonText.ts"
import type { Shape } from "./Tool.ts"
import * as ToolFile from "./ToolFile.ts"
import { toolCalled } from "./Tools.ts"

/** What is known of an adopted login. Tokens are there as their SHA-256 only. */
const Adoption = Schema.Struct({
  version: Schema.Literal(1),
  /** Our record of the login has it too, for as long as it is that login. */
  id: Schema.String,
  provider: ProviderName,
  bucket: BucketName,
  /** The tool, what tells its login from others, and where that is. */
  tool: Schema.String,
  account: Schema.String,
  entry: Schema.String,
  path: Schema.String,
  /** The refresh token that was there. */
  taken: Schema.String,
  /** The access tokens that may be there by our doing. */
  written: Schema.Array(Schema.String),
  /** The refresh token that is being given back. */
  returning: Schema.optionalKey(Schema.String),
  /** Since when the file is left alone, and why. */
  ended: Schema.optionalKey(Schema.Struct({ at: Schema.DateTimeUtcFromString, why: Schema.String })),
})
export type Adoption = typeof Adoption.Type

export const File = Schema.fromJsonString(Adoption)
const decode = Schema.decodeUnknownEffect(File)
const encode = Schema.encodeEffect(File)

const extension = ".json"

/** The field of our record that names the adoption it came from. Refreshes keep it, a new login does not. */
export const mark = "tokenkeep_adoption"

/** Whether our record is that of the login that was adopted, however often it was refreshed since. */
export const isOf = ({ id }: Adoption, { token }: AccountRecord): boolean => Redacted.value(token.extras)[mark] === id

export const accountOf = ({ bucket, provider }: Adoption): AccountKey => Account.make(provider, bucket)

/** What the tool's file says of an adopted login. */
export type Standing =
  /** The access token that we wrote, and no refresh token. */
  | "fed"
  /** The refresh token that we took. */
  | "untouched"
  /** The refresh token that we give back. */
  | "returned"
  /** A refresh token of its own. */
  | "anew"
  /** A login of another kind: a key, say. */
  | "other"
  /** No refresh token, and an access token of its own, or none. */
  | "emptied"
  /** Nothing of the login. */
  | "gone"
  | "damaged"

const endings: { readonly [standing in Standing]?: string } = {
  anew: "the tool has logged in anew by itself",
  other: "the tool has a login of another kind there",
  emptied: "the tool has logged out, or has another access token",
  gone: "the tool has no login there any more",
}

/** What is written for a token. */
export const changesFor = (
  shape: Shape,
  token: StoredToken,
  refreshToken: string,
  now: DateTime.Utc,
): ReadonlyArray<readonly [JsonText.Path, Schema.Json]> => [
  [shape.refreshToken, refreshToken],
  [shape.accessToken, Redacted.value(token.accessToken)],
  ...shape.besides(token, now),
]

type StoreError = StoreUnavailable | StoreCorrupt

export class Adoptions extends Context.Service<
  Adoptions,
  {
    readonly get: (account: AccountKey) => Effect.Effect<Option.Option<Adoption>, StoreError>
    readonly list: Effect.Effect<ReadonlyArray<Adoption>, StoreError>
    readonly set: (adoption: Adoption) => Effect.Effect<void, StoreUnavailable>
    /** Forgets an adoption, and what the file was before. */
    readonly remove: (account: AccountKey) => Effect.Effect<void, StoreUnavailable>
    /** Keeps what the tool's file was before. */
    readonly keepOriginal: (account: AccountKey, text: string) => Effect.Effect<void, StoreUnavailable>
    readonly removeOriginal: (account: AccountKey) => Effect.Effect<void, StoreUnavailable>
    readonly original: (account: AccountKey) => Effect.Effect<Option.Option<string>, StoreUnavailable>
    readonly hashOf: (secret: Redacted.Redacted) => Effect.Effect<string>
    /** How the tool's file looks. */
    readonly standing: (
      adoption: Adoption,
      shape: Shape,
      file: Option.Option<ToolFile.Content>,
    ) => Effect.Effect<Standing>
    /** Whether our refresh token is one that the tool has or had, and the tool has one now: it may have used ours. */
    readonly mayBeSpent: (adoption: Adoption, record: AccountRecord) => Effect.Effect<boolean, ToolFile.FileTrouble>
    /** From now on the tool's file is left alone. */
    readonly end: (adoption: Adoption, why: string) => Effect.Effect<void, StoreUnavailable>
    /** Sees to it that the tool has the access token of our record, and nothing else; returns how the file was. */
    readonly feed: (
      adoption: Adoption,
      record: AccountRecord,
    ) => Effect.Effect<Standing, StoreError | ToolFile.FileTrouble | ToolFile.FileChanged>
  }
>()("tokenkeep/import/Adoptions") {
  static readonly layerNoDeps = Layer.effect(
    this,
    Effect.gen(function* () {
      const { adoptedDirectory } = yield* BrokerConfig
      const files = yield* PrivateFile.make
      const vendor = yield* ToolFile.make
      const paths = yield* Path.Path
      const digest = yield* Digest.Digest

      const fileOf = Effect.fnUntraced(
        function* (account: AccountKey, suffix: string) {
          const provider = yield* FileName.encode(account.provider)
          const bucket = yield* FileName.encode(account.bucket)
          return paths.join(adoptedDirectory, provider, bucket + suffix)
        },
        Effect.provideService(Digest.Digest, digest),
      )
      const originalOf = (account: AccountKey) => fileOf(account, ".original")

      const read = (path: string) => files.readAs(path, decode, StoreCorrupt.make({ path }))

      const set = Effect.fnUntraced(function* (adoption: Adoption) {
        const path = yield* fileOf(accountOf(adoption), extension)
        yield* files.write(path, yield* Effect.orDie(encode(adoption)))
        yield* files.removeLeftovers(path)
      })

      const hashOf = (secret: Redacted.Redacted) =>
        digest.digestHex(Digest.sha256, new TextEncoder().encode(Redacted.value(secret)))

      const standing = Effect.fnUntraced(function* (
        adoption: Adoption,
        shape: Shape,
        file: Option.Option<ToolFile.Content>,
      ): Effect.fn.Return<Standing> {
        if (Option.isNone(file)) return "gone"
        const { text } = file.value
        if (Option.isNone(JsonText.valueAt(text, []))) return "damaged"
        const kind =
          shape.kind === undefined ? undefined : textIn(Option.getOrUndefined(JsonText.valueAt(text, shape.kind[0])))
        if (kind !== undefined && kind !== shape.kind?.[1]) return "other"
        const refreshToken = textIn(Option.getOrUndefined(JsonText.valueAt(text, shape.refreshToken)))
        if (refreshToken !== undefined) {
          const hash = yield* hashOf(Redacted.make(refreshToken))
          return hash === adoption.returning ? "returned" : hash === adoption.taken ? "untouched" : "anew"
        }
        const accessToken = JsonText.valueAt(text, shape.accessToken)
        if (Option.isNone(accessToken)) return "gone"
        const hash = yield* hashOf(Redacted.make(textIn(Option.getOrUndefined(accessToken)) ?? ""))
        return adoption.written.includes(hash) ? "fed" : "emptied"
      })

      const end = Effect.fnUntraced(function* (adoption: Adoption, why: string) {
        yield* set({ ...adoption, ended: { at: yield* DateTime.now, why } })
        yield* Effect.logWarning(
          `${oneLine(adoption.path)} is left alone from now on, and ${printable(accountOf(adoption).toString())} is no longer adopted: ${why}.`,
        )
      })

      const feedOnce = Effect.fnUntraced(function* (adoption: Adoption, record: AccountRecord) {
        const shape = toolCalled(adoption.tool)?.shape?.(adoption.entry)
        // A later version of this program may know a tool that this one does not.
        if (shape === undefined) return "gone"
        const file = yield* vendor.read(adoption.path)
        const found = yield* standing(adoption, shape, file)
        const why = endings[found]
        if (why !== undefined) yield* end(adoption, why)
        // What was taken and not emptied is emptied only if we do have it.
        const isOurs = found === "fed" || (found === "untouched" && isOf(adoption, record))
        if (!isOurs || Option.isNone(file)) return found
        const { text } = file.value
        const accessToken = Redacted.value(record.token.accessToken)
        if (found === "fed" && Option.contains(JsonText.valueAt(text, shape.accessToken), accessToken)) return found
        const changed = JsonText.withValues(text, changesFor(shape, record.token, "", yield* DateTime.now))
        if (Option.isNone(changed)) return "damaged"
        const hash = yield* hashOf(record.token.accessToken)
        // Before it is written, so that it is known again if this process dies over it.
        yield* set({ ...adoption, written: [...adoption.written.filter((known) => known !== hash).slice(-3), hash] })
        yield* vendor.replace(adoption.path, Option.some(text), changed.value)
        return found
      })

      return Adoptions.of({
        get: (account) => Effect.flatMap(fileOf(account, extension), read),
        list: Effect.gen(function* () {
          const found: Array<Adoption> = []
          for (const folder of yield* files.list(adoptedDirectory, "Directory")) {
            for (const name of yield* files.list(paths.join(adoptedDirectory, folder), "File")) {
              if (!name.endsWith(extension)) continue
              // One that is damaged must not hide the others.
              const adoption = yield* Effect.catchTag(
                read(paths.join(adoptedDirectory, folder, name)),
                "StoreCorrupt",
                (error) => Effect.as(Effect.logWarning(error.message), Option.none<Adoption>()),
              )
              if (Option.isSome(adoption)) found.push(adoption.value)
            }
          }
          return found
        }),
        set,
        remove: Effect.fnUntraced(function* (account) {
          // In this order: as long as the second is there, it is known that there may be the first.
          yield* files.remove(yield* originalOf(account))
          yield* files.remove(yield* fileOf(account, extension))
        }),
        keepOriginal: Effect.fnUntraced(function* (account, text) {
          yield* files.write(yield* originalOf(account), text)
        }),
        removeOriginal: (account) => Effect.flatMap(originalOf(account), files.remove),
        original: (account) => Effect.flatMap(originalOf(account), files.read),
        hashOf,
        standing,
        mayBeSpent: Effect.fnUntraced(function* (adoption, { token: { refreshToken } }) {
          const shape = toolCalled(adoption.tool)?.shape?.(adoption.entry)
          if (shape === undefined || refreshToken === undefined) return false
          const hash = yield* hashOf(refreshToken)
          if (hash !== adoption.taken && hash !== adoption.returning) return false
          const found = yield* standing(adoption, shape, yield* vendor.read(adoption.path))
          return found === "anew" || found === "returned"
        }),
        end,
        feed: (adoption, record) =>
          feedOnce(adoption, record).pipe(Effect.retry({ times: 2, while: ({ _tag }) => _tag === "FileChanged" })),
      })
    }),
  )

  static readonly layer = this.layerNoDeps.pipe(Layer.provide([SecureRandom.layerWebCrypto, Digest.layerWebCrypto]))

  /** Has the tools' files written after each refresh. For whatever has `Accounts` below it. */
  static readonly layerFeeding = Layer.effect(
    Adopted,
    Effect.gen(function* () {
      const adoptions = yield* Adoptions
      const saved = Effect.fnUntraced(
        function* (account: AccountKey, record: AccountRecord) {
          const adoption = yield* adoptions.get(account)
          if (Option.isNone(adoption) || adoption.value.ended !== undefined) return
          // It is being given back; that is brought to its end by whoever does it, or does it again.
          if (adoption.value.returning !== undefined) return
          const found = yield* adoptions.feed(adoption.value, record)
          if (found === "damaged") {
            yield* Effect.logWarning(`${oneLine(adoption.value.path)} is damaged. It was left as it is.`)
          }
        },
        // The login is safe here, whatever becomes of the tool's copy of its access token.
        (effect) => Effect.catch(effect, (error) => Effect.logWarning(error.message)),
      )

      const spentBy = Effect.fnUntraced(
        function* (account: AccountKey, record: AccountRecord) {
          const adoption = Option.getOrUndefined(yield* adoptions.get(account))
          if (adoption === undefined || !(yield* adoptions.mayBeSpent(adoption, record))) return Option.none()
          const name = printable(`${adoption.tool}:${adoption.account}`)
          return Option.some(
            `${oneLine(adoption.path)} has a refresh token again, which may have come of the one that is kept here: using that could log out both, so it was not sent. Move the login here again with: tokenkeep import ${name} --adopt; or leave it to the tool with: tokenkeep import --undo ${name}`,
          )
        },
        (effect) => Effect.catch(effect, (error) => Effect.as(Effect.logWarning(error.message), Option.none<string>())),
      )

      const forgotten = Effect.fnUntraced(
        function* (account: AccountKey) {
          const adoption = Option.getOrUndefined(yield* adoptions.get(account))
          if (adoption === undefined) return
          // It has the refresh token that was taken.
          yield* adoptions.removeOriginal(account)
          if (adoption.ended !== undefined || adoption.returning !== undefined) return
          yield* adoptions.end(adoption, "the login was forgotten here, so the tool needs a login of its own")
        },
        (effect) => Effect.catch(effect, (error) => Effect.logWarning(error.message)),
      )
      return { saved, spentBy, forgotten }
    }),
  ).pipe(Layer.provide(this.layer))
}
