/**
 * {@link TokenStore} on disk: `<accounts>/<provider>/<bucket>.json`, folders 0700, files 0600. A file that cannot be
 * understood is reported and left alone.
 */
import { DateTime, Duration, Effect, Layer, MutableHashMap, Option, Path, PubSub, Ref, Schema, Struct } from "effect"
import { Digest } from "effect/crypto"
import { AccountKey } from "../domain/AccountKey.ts"
import { BucketName, ProviderName } from "../domain/AccountKey.ts"
import * as AccountRecord from "../domain/AccountRecord.ts"
import { StoreCorrupt } from "../domain/Errors.ts"
import * as AccountFileName from "./AccountFileName.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import * as FileReading from "./FileReading.ts"
import * as PrivateFile from "./PrivateFile.ts"
import { TokenStore } from "./TokenStore.ts"

const Record = Schema.fromJsonString(
  Schema.Struct({
    version: Schema.Literal(1),
    provider: ProviderName,
    bucket: BucketName,
    ...AccountRecord.AccountRecord.fields,
    // Files are older than histories.
    since: AccountRecord.AccountRecord.fields.since.pipe(Schema.withDecodingDefaultTypeKey(DateTime.now)),
    history: AccountRecord.RefreshHistory.pipe(Schema.withDecodingDefaultTypeKey(Effect.succeed(AccountRecord.unused))),
  }),
)

const decode = Schema.decodeUnknownEffect(Record)
const encode = Schema.encodeEffect(Record)
const decodeAccount = Schema.decodeUnknownOption(AccountKey)
const extension = ".json"

/** How often the folders are looked at for what other processes did. Renewal is minutes ahead of expiry; this may wait. */
const lookingAround = Duration.seconds(10)

/** The record, if it is this account's. */
const recordOf = ({ bucket, provider }: AccountKey, record: typeof Record.Type) =>
  provider === record.provider && bucket === record.bucket
    ? Option.some(Struct.omit(record, ["version", "provider", "bucket"]))
    : Option.none()

/** Which file each account has. */
type Versions = MutableHashMap.MutableHashMap<AccountKey, string>

const nothing = (): Versions => MutableHashMap.empty()

export const layer = Layer.effect(
  TokenStore,
  Effect.gen(function* () {
    const { accountsDirectory } = yield* BrokerConfig
    const files = yield* PrivateFile.make
    const known = yield* FileReading.make
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

    const readAs = Effect.fnUntraced(function* (account: AccountKey, path: string) {
      const record = yield* read(path)
      if (Option.isNone(record)) return Option.none()
      const ours = recordOf(account, record.value)
      return Option.isSome(ours) ? ours : yield* StoreCorrupt.make({ path })
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

    const listFiles = Effect.gen(function* () {
      const folders = yield* files.list(accountsDirectory, "Directory")
      const found = yield* Effect.forEach(folders, (folder) =>
        files.list(paths.join(accountsDirectory, folder), "File").pipe(
          Effect.map((names) => names.filter((name) => name.endsWith(extension))),
          Effect.flatMap(
            Effect.forEach((name) =>
              Effect.map(
                accountOf(folder, name),
                Option.map((account) => ({ account, path: paths.join(accountsDirectory, folder, name) })),
              ),
            ),
          ),
        ),
      )
      return found.flat().flatMap(Option.toArray)
    })

    /** Which file each account has at the moment. Each write makes a new one. */
    const look = Effect.gen(function* () {
      const versions = nothing()
      for (const { account, path } of yield* listFiles) {
        const version = yield* files.version(path)
        if (Option.isSome(version)) MutableHashMap.set(versions, account, version.value)
      }
      return versions
    })

    // Weak, by object: it holds no secret longer than somebody holds the key to ask with.
    const readings = new WeakMap<AccountKey, FileReading.FileReading<Option.Option<AccountRecord.AccountRecord>>>()

    const changed = yield* PubSub.unbounded<AccountKey>()

    /** Tells of what differs from `known`, and returns what there is. */
    const lookAgain = Effect.fnUntraced(function* (known: Versions) {
      const found = yield* look
      for (const [account, version] of found) {
        if (Option.getOrUndefined(MutableHashMap.get(known, account)) !== version)
          PubSub.publishUnsafe(changed, account)
      }
      for (const [account] of known) if (!MutableHashMap.has(found, account)) PubSub.publishUnsafe(changed, account)
      return found
    })

    /** What another process does shows in the folders only. */
    const watch = (known: Ref.Ref<Versions>) =>
      Ref.get(known).pipe(
        Effect.flatMap(lookAgain),
        Effect.flatMap((found) => Ref.set(known, found)),
        Effect.delay(lookingAround),
        // A folder that cannot be read now may be readable soon; whoever needs a token hears of it anyway.
        Effect.catch((error) => Effect.logDebug(error.message)),
        Effect.forever,
      )

    return TokenStore.of({
      get: Effect.fn("TokenStore.get")(function* (account) {
        const path = yield* fileOf(account)
        const { reading, value } = yield* known.read(path, readAs(account, path))
        if (Option.isSome(reading)) readings.set(account, reading.value)
        return value
      }),
      glance: (account) => {
        const reading = readings.get(account)
        return reading !== undefined && known.isCurrent(reading) ? reading.value : Option.none()
      },
      set: Effect.fn("TokenStore.set")(function* (account, record) {
        const path = yield* fileOf(account)
        // What cannot be understood is not ours to replace.
        yield* read(path)
        const content = yield* Effect.orDie(
          encode({ ...record, version: 1, provider: account.provider, bucket: account.bucket }),
        )
        yield* files.write(path, content)
        known.changed()
        // What writers that died have left is of no use after this, and holds secrets.
        yield* Effect.catch(files.removeLeftovers(path), (error) => Effect.logDebug(error.message))
        PubSub.publishUnsafe(changed, account)
      }),
      remove: Effect.fn("TokenStore.remove")(function* (account) {
        yield* files.remove(yield* fileOf(account))
        known.changed()
        PubSub.publishUnsafe(changed, account)
      }),
      interrupted: Effect.fn("TokenStore.interrupted")(function* (account) {
        const left = yield* Effect.flatMap(fileOf(account), files.leftovers)
        // Most of them are parts of a record, or empty.
        const records = yield* Effect.forEach(left, (path) =>
          Effect.catchTag(read(path), "StoreCorrupt", () => Effect.succeedNone),
        )
        return records.flatMap(Option.toArray).flatMap((record) => Option.toArray(recordOf(account, record)))
      }),
      list: listFiles.pipe(
        Effect.map((found) => found.map(({ account }) => account)),
        Effect.withSpan("TokenStore.list"),
      ),
      changes: Effect.gen(function* () {
        const subscription = yield* PubSub.subscribe(changed)
        const known = yield* Ref.make(yield* Effect.orElseSucceed(look, nothing))
        yield* Effect.forkScoped(watch(known))
        return subscription
      }),
    })
  }),
)
