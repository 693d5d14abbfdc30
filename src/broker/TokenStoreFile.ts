/**
 * {@link TokenStore} on disk: `<accounts>/<provider>/<bucket>.json`, folders 0700, files 0600. A file that cannot be
 * understood is reported and left alone.
 */
import { Effect, Layer, Option, Path, Schema } from "effect"
import { Digest } from "effect/crypto"
import { AccountKey } from "../domain/AccountKey.ts"
import { BucketName, ProviderName } from "../domain/AccountKey.ts"
import { StoreCorrupt } from "../domain/Errors.ts"
import { StoredToken } from "../domain/Token.ts"
import * as AccountFileName from "./AccountFileName.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import * as PrivateFile from "./PrivateFile.ts"
import { TokenStore } from "./TokenStore.ts"

const Record = Schema.fromJsonString(
  Schema.Struct({
    version: Schema.Literal(1),
    provider: ProviderName,
    bucket: BucketName,
    token: StoredToken,
  }),
)

const decode = Schema.decodeUnknownEffect(Record)
const encode = Schema.encodeEffect(Record)
const decodeAccount = Schema.decodeUnknownOption(AccountKey)
const extension = ".json"

export const layer = Layer.effect(
  TokenStore,
  Effect.gen(function* () {
    const { accountsDirectory } = yield* BrokerConfig
    const files = yield* PrivateFile.make
    const paths = yield* Path.Path
    const digest = yield* Digest.Digest

    const fileOf = Effect.fnUntraced(
      function* (account: AccountKey) {
        const provider = yield* AccountFileName.encode(account.provider)
        const bucket = yield* AccountFileName.encode(account.bucket)
        return paths.join(accountsDirectory, provider, bucket + extension)
      },
      Effect.provideService(Digest.Digest, digest),
    )

    const read = Effect.fnUntraced(function* (path: string) {
      const content = yield* files.read(path)
      if (Option.isNone(content)) return Option.none()
      return yield* decode(content.value).pipe(
        Effect.asSome,
        Effect.mapError(() => StoreCorrupt.make({ path })),
      )
    })

    /** The account of a file: from its name, or where that was too long from inside. */
    const accountOf = Effect.fnUntraced(function* (folder: string, file: string) {
      const provider = AccountFileName.decode(folder)
      const bucket = AccountFileName.decode(file.slice(0, -extension.length))
      if (provider === "not ours" || bucket === "not ours") return Option.none()
      if (typeof provider === "object" && typeof bucket === "object") {
        return decodeAccount({ provider: provider.name, bucket: bucket.name })
      }
      return yield* read(paths.join(accountsDirectory, folder, file)).pipe(
        Effect.map(Option.flatMap(decodeAccount)),
        // One bad file must not hide the other accounts; this one has lost its name with its content.
        Effect.catch((error) => Effect.as(Effect.logWarning(error.message), Option.none())),
      )
    })

    return TokenStore.of({
      get: Effect.fn("TokenStore.get")(function* (account) {
        const path = yield* fileOf(account)
        const record = yield* read(path)
        if (Option.isNone(record)) return Option.none()
        const { bucket, provider, token } = record.value
        if (provider !== account.provider || bucket !== account.bucket) return yield* StoreCorrupt.make({ path })
        return Option.some(token)
      }),
      set: Effect.fn("TokenStore.set")(function* (account, token) {
        const path = yield* fileOf(account)
        // What cannot be understood is not ours to replace.
        yield* read(path)
        const content = yield* Effect.orDie(
          encode({ version: 1, provider: account.provider, bucket: account.bucket, token }),
        )
        yield* files.write(path, content)
      }),
      remove: Effect.fn("TokenStore.remove")(function* (account) {
        yield* files.remove(yield* fileOf(account))
      }),
      list: Effect.gen(function* () {
        const folders = yield* files.list(accountsDirectory, "Directory")
        const found = yield* Effect.forEach(folders, (folder) =>
          files.list(paths.join(accountsDirectory, folder), "File").pipe(
            Effect.map((names) => names.filter((name) => name.endsWith(extension))),
            Effect.flatMap(Effect.forEach((name) => accountOf(folder, name))),
          ),
        )
        return found.flat().flatMap(Option.toArray)
      }).pipe(Effect.withSpan("TokenStore.list")),
    })
  }),
)
