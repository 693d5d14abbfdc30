/**
 * {@link TokenStore} on disk: `<accounts>/<provider>/<bucket>.json`, folders 0700, files 0600. A file that cannot be
 * understood is reported and left alone.
 */
import { DateTime, Duration, Effect, Layer, MutableHashMap, Option, Path, PubSub, Ref, Schema, Struct } from "effect"
import { Digest } from "effect/crypto"
import { AccountKey } from "../domain/AccountKey.ts"
import { BucketName, ProviderName } from "../domain/AccountKey.ts"
import * as AccountRecord from "../domain/AccountRecord.ts"
import { StoreCorrupt, StoreNewer } from "../domain/Errors.ts"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { definitionOf } from "../oauth/ProviderResolution.ts"
import { ProviderDefinitions } from "../providers/ProviderDefinitions.ts"
import * as FileName from "../system/FileName.ts"
import * as FileReading from "../system/FileReading.ts"
import * as PrivateFile from "../system/PrivateFile.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import * as ConfigFile from "./ConfigFile.ts"
import * as RecordVersions from "./RecordVersions.ts"
import { TokenStore } from "./TokenStore.ts"

const Content = Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown))

const Record = Schema.Struct({
  version: Schema.Literal(RecordVersions.current),
  provider: ProviderName,
  bucket: BucketName,
  /** How many of its provider's migrations the extra fields of the token have gone through. */
  providerVersion: Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))),
  ...AccountRecord.AccountRecord.fields,
})

const parse = Schema.decodeEffect(Content)
const decode = Schema.decodeUnknownOption(Record)
const Fields = Schema.Record(Schema.String, Schema.Json)
const decodeFields = Schema.decodeUnknownOption(Fields)
const decodeExtras = Schema.decodeUnknownOption(
  Schema.Struct({
    ...Struct.pick(Record.fields, ["provider", "providerVersion"]),
    token: Schema.StructWithRest(Schema.Struct({ extras: Fields }), [Schema.Record(Schema.String, Schema.Unknown)]),
  }),
)
const encode = Schema.encodeEffect(Schema.fromJsonString(Record))
const decodeAccount = Schema.decodeUnknownOption(AccountKey)
const extension = ".json"

/** How often the folders are looked at for what other processes did. Renewal is minutes ahead of expiry; this may wait. */
const lookingAround = Duration.seconds(10)

/** What a file says. */
interface Found {
  readonly record: typeof Record.Type
  /** What is older than the file, if anything is. */
  readonly olderThanIt: Option.Option<StoreNewer["than"]>
}

/** The record, if it is this account's. */
const recordOf = ({ bucket, provider }: AccountKey, { record }: Found) =>
  provider === record.provider && bucket === record.bucket
    ? Option.some(Struct.omit(record, ["version", "provider", "bucket", "providerVersion"]))
    : Option.none()

/** Of a newer version's record the token is enough: what else there is serves refreshing, which is not done. */
const decodeNewer = (file: RecordVersions.File, now: DateTime.Utc) => {
  const { bucket, provider, token } = file
  const { current, upgrade } = RecordVersions
  return Option.orElse(decode({ ...file, version: current }), () => {
    const bare = upgrade({ version: 1, bucket, provider, token }, now)
    return bare._tag === "Current" ? decode(bare.file) : Option.none()
  })
}

/** Which file each account has. */
type Versions = MutableHashMap.MutableHashMap<AccountKey, string>

const nothing = (): Versions => MutableHashMap.empty()

export const layer = Layer.effect(
  TokenStore,
  Effect.gen(function* () {
    const { accountsDirectory, configFile } = yield* BrokerConfig
    const files = yield* PrivateFile.make
    const known = yield* FileReading.make
    const paths = yield* Path.Path
    const digest = yield* Digest.Digest

    const fileOf = Effect.fnUntraced(
      function* (account: AccountKey) {
        const provider = yield* FileName.encode(account.provider)
        const bucket = yield* FileName.encode(account.bucket)
        return paths.join(accountsDirectory, provider, bucket + extension)
      },
      Effect.provideService(Digest.Digest, digest),
    )

    const definitions = yield* ProviderDefinitions
    const isAnyMigrated = definitions.some(({ migrations = [] }) => migrations.length > 0)
    /** What has become, over time, of the extra fields of a provider's tokens. */
    const migrationsOf = Effect.fnUntraced(function* (provider: string) {
      if (!isAnyMigrated) return []
      const config = yield* Effect.catchTag(ConfigFile.read(files, configFile), "ConfigCorrupt", () =>
        // Then nothing is known to extend anything: what the plugins have kept counts as newer, and is not touched.
        Effect.succeed(ConfigFile.empty),
      )
      const said = ConfigFile.records(config).get(provider)
      const definition = definitionOf(provider, said, definitions)
      return Option.getOrElse(definition, (): Pick<ProviderDefinition, "migrations"> => ({})).migrations ?? []
    })

    /** The file with extra fields as the provider's definition has them now. */
    const withExtras = Effect.fnUntraced(function* (file: RecordVersions.File) {
      const stored = decodeExtras(file)
      if (Option.isNone(stored)) return { isNewer: false, file }
      const { provider, providerVersion = 0, token } = stored.value
      const migrations = yield* migrationsOf(provider)
      const { extras, isNewer } = yield* Effect.try({
        try: () => RecordVersions.upgradeExtras(token.extras, providerVersion, migrations),
        catch: () => "broken" as const,
      })
      if (Option.isNone(decodeFields(extras))) return yield* Effect.fail("broken" as const)
      return { isNewer, file: { ...file, token: { ...token, extras } } }
    })

    const understand = Effect.fnUntraced(function* (path: string, content: string) {
      const corrupt = StoreCorrupt.make({ path })
      const now = yield* DateTime.now
      const reading = RecordVersions.upgrade(yield* Effect.mapError(parse(content), () => corrupt), now)
      if (reading._tag === "Unversioned") return yield* corrupt
      if (reading._tag === "Newer") {
        return yield* Option.match(decodeNewer(reading.file, now), {
          onNone: () => Effect.fail(StoreCorrupt.make({ path, because: "newer" })),
          onSome: (record) => Effect.succeed<Found>({ record, olderThanIt: Option.some("tokenkeep") }),
        })
      }
      const { file, isNewer } = yield* Effect.mapError(withExtras(reading.file), (error) =>
        error === "broken" ? StoreCorrupt.make({ path, because: "plugin" }) : error,
      )
      const record = decode(file)
      if (Option.isNone(record)) return yield* corrupt
      const found: Found = { record: record.value, olderThanIt: isNewer ? Option.some("plugin") : Option.none() }
      return found
    })

    const read = Effect.fnUntraced(function* (path: string) {
      const content = yield* files.read(path)
      return Option.isNone(content) ? Option.none() : Option.some(yield* understand(path, content.value))
    })

    const readAs = Effect.fnUntraced(function* (account: AccountKey, path: string) {
      const found = yield* read(path)
      if (Option.isNone(found)) return Option.none()
      const ours = recordOf(account, found.value)
      return Option.isSome(ours) ? ours : yield* StoreCorrupt.make({ path })
    })

    /** What cannot be understood, or was written by somebody who knows more, is not ours to replace. */
    const replaceable = Effect.fnUntraced(function* (account: AccountKey, path: string) {
      const found = yield* read(path)
      const than = Option.flatMap(found, ({ olderThanIt }) => olderThanIt)
      if (Option.isSome(than)) return yield* StoreNewer.make({ account, than: than.value })
    })

    /** The account of a file: from its name, or where that was too long from inside. */
    const accountOf = Effect.fnUntraced(function* (folder: string, file: string) {
      const provider = FileName.decode(folder)
      const bucket = FileName.decode(file.slice(0, -extension.length))
      if (provider === "not ours" || bucket === "not ours") return Option.none()
      if (typeof provider === "object" && typeof bucket === "object") {
        return decodeAccount({ provider: provider.name, bucket: bucket.name })
      }
      return yield* read(paths.join(accountsDirectory, folder, file)).pipe(
        Effect.map(Option.flatMap(({ record }) => decodeAccount(record))),
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
      replaceable: Effect.fn("TokenStore.replaceable")(function* (account) {
        yield* replaceable(account, yield* fileOf(account))
      }),
      set: Effect.fn("TokenStore.set")(function* (account, record) {
        const path = yield* fileOf(account)
        yield* replaceable(account, path)
        const { bucket, provider } = account
        const providerVersion = (yield* migrationsOf(provider)).length
        const content = yield* Effect.orDie(
          encode({
            version: RecordVersions.current,
            provider,
            bucket,
            ...(providerVersion > 0 && { providerVersion }),
            ...record,
          }),
        )
        yield* files.write(path, content)
        known.changed()
        yield* files.removeLeftovers(path)
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
        const found = yield* Effect.forEach(left, (path) =>
          Effect.catchTag(read(path), "StoreCorrupt", () => Effect.succeedNone),
        )
        return found
          .flatMap(Option.toArray)
          .filter(({ olderThanIt }) => Option.isNone(olderThanIt))
          .flatMap((file) => Option.toArray(recordOf(account, file)))
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
