/**
 * {@link ApiKeys} on disk: `<keys>/<name>.json`, the folder 0700, files 0600. A file that cannot be understood is reported
 * and left alone.
 */
import { Effect, Layer, Option, Path, Schema } from "effect"
import { Digest } from "effect/crypto"
import { ApiKey, ApiKeyName } from "../domain/ApiKey.ts"
import { StoreCorrupt } from "../domain/Errors.ts"
import * as FileName from "../system/FileName.ts"
import * as PrivateFile from "../system/PrivateFile.ts"
import { ApiKeys } from "./ApiKeys.ts"
import { BrokerConfig } from "./BrokerConfig.ts"

export const File = Schema.fromJsonString(Schema.Struct({ version: Schema.Literal(1), name: ApiKeyName, key: ApiKey }))
const decode = Schema.decodeUnknownEffect(File)
const encode = Schema.encodeEffect(File)
const decodeName = Schema.decodeUnknownOption(ApiKeyName)
const extension = ".json"

export const layer = Layer.effect(
  ApiKeys,
  Effect.gen(function* () {
    const { keysDirectory } = yield* BrokerConfig
    const files = yield* PrivateFile.make
    const paths = yield* Path.Path
    const digest = yield* Digest.Digest

    const fileOf = (name: string) =>
      FileName.encode(name).pipe(
        Effect.map((file) => paths.join(keysDirectory, file + extension)),
        Effect.provideService(Digest.Digest, digest),
      )

    const read = (path: string, corrupt: StoreCorrupt) => files.readAs(path, decode, corrupt)

    const get = Effect.fnUntraced(function* (name: string) {
      const path = yield* fileOf(name)
      const corrupt = StoreCorrupt.make({ path, apiKey: name })
      const found = yield* read(path, corrupt)
      if (Option.isSome(found) && found.value.name !== name) return yield* corrupt
      return Option.map(found, ({ key }) => key)
    })

    /** The name of a file's key: from the file's name, or where that was too long from inside. */
    const nameOf = Effect.fnUntraced(function* (file: string) {
      const name = FileName.decode(file.slice(0, -extension.length))
      if (name === "not ours") return Option.none()
      if (typeof name === "object") return decodeName(name.name)
      const path = paths.join(keysDirectory, file)
      return yield* read(path, StoreCorrupt.make({ path })).pipe(
        Effect.map(Option.map((found) => found.name)),
        // One bad file must not hide the other keys; this one has lost its name with its content.
        Effect.catch((error) => Effect.as(Effect.logWarning(error.message), Option.none())),
      )
    })

    return ApiKeys.of({
      get: Effect.fn("ApiKeys.get")(get),
      set: Effect.fn("ApiKeys.set")(function* (name, key) {
        // What cannot be understood is not ours to replace.
        yield* get(name)
        const path = yield* fileOf(name)
        yield* files.write(path, yield* Effect.orDie(encode({ version: 1, name, key })))
        yield* files.removeLeftovers(path)
      }),
      remove: Effect.fn("ApiKeys.remove")(function* (name) {
        yield* files.remove(yield* fileOf(name))
      }),
      list: files.list(keysDirectory, "File").pipe(
        Effect.map((names) => names.filter((name) => name.endsWith(extension))),
        Effect.flatMap(Effect.forEach(nameOf)),
        Effect.map((names) => names.flatMap(Option.toArray)),
        Effect.withSpan("ApiKeys.list"),
      ),
    })
  }),
)
