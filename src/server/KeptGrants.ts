/**
 * Grants that outlive the host, each in a file of its own: `<grants>/<id>.json`. A capability is there as a hash only.
 */
import { Effect, Option, Path, Schema } from "effect"
import { BrokerConfig } from "../broker/BrokerConfig.ts"
import { Grant } from "../domain/Grant.ts"
import * as PrivateFile from "../system/PrivateFile.ts"

export const File = Schema.fromJsonString(
  Schema.Struct({ version: Schema.Literal(1), socket: Schema.String, grant: Grant }),
)
const decode = Schema.decodeUnknownOption(File)
const encode = Schema.encodeEffect(File)
const extension = ".json"

export const make = Effect.gen(function* () {
  const { grantsDirectory } = yield* BrokerConfig
  const files = yield* PrivateFile.make
  const paths = yield* Path.Path
  const fileOf = (id: string) => paths.join(grantsDirectory, id + extension)

  const read = Effect.fnUntraced(function* (name: string) {
    const path = paths.join(grantsDirectory, name)
    const content = yield* files.read(path)
    if (Option.isNone(content)) return []
    const file = Option.filter(decode(content.value), ({ grant }) => path === fileOf(grant.id))
    if (Option.isSome(file)) return [{ grant: file.value.grant, socket: file.value.socket }]
    yield* Effect.logWarning(`The grant in ${path} cannot be understood. It was left as it is, and is not at work.`)
    return []
  })

  return {
    /** What was kept, and where each was served. What cannot be read is said, and left alone. */
    all: files.list(grantsDirectory, "File").pipe(
      Effect.flatMap((names) =>
        Effect.forEach(
          names.filter((name) => name.endsWith(extension)),
          (name) => Effect.catch(read(name), ({ message }) => Effect.as(Effect.logError(message), [])),
        ),
      ),
      Effect.map((kept) => kept.flat()),
      Effect.catch(({ message }) => Effect.as(Effect.logError(message), [])),
    ),
    /** Keeps a grant, if it is one to be kept. */
    save: Effect.fnUntraced(function* (grant: Grant, socket: string) {
      if (grant.isKept) yield* files.write(fileOf(grant.id), yield* Effect.orDie(encode({ version: 1, socket, grant })))
    }),
    remove: (grant: Grant) => (grant.isKept ? files.remove(fileOf(grant.id)) : Effect.void),
  }
})
