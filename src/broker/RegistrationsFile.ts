/**
 * What we are to servers that a login has found by itself, on disk: `<clients>/<issuer and redirect URIs>.json` has the
 * client, `<clients>/resources/<address>.json` where the login of that address is. The folders 0700, the files 0600.
 *
 * A client belongs to one issuer, and is never shown to another. What cannot be understood is reported and left alone.
 */
import { Effect, Option, Path, Schema } from "effect"
import { Digest } from "effect/crypto"
import { ProviderName } from "../domain/AccountKey.ts"
import { StoreCorrupt } from "../domain/Errors.ts"
import { Client, redirectUris } from "../oauth/ClientRegistration.ts"
import { ProviderRecord } from "../oauth/ProviderRecord.ts"
import * as FileName from "../system/FileName.ts"
import * as PrivateFile from "../system/PrivateFile.ts"
import { BrokerConfig } from "./BrokerConfig.ts"

export const ClientFile = Schema.Struct({
  version: Schema.Literal(1),
  issuer: Schema.String,
  /** For whose login it was registered; others there use it too. */
  address: ProviderName,
  client: Client,
})

/** Where the login of an address is, as it was when somebody logged in. It is not asked again until the next login. */
export const Found = Schema.Struct({
  name: ProviderName,
  /** Whether the person who runs the host has named it. */
  isTyped: Schema.Boolean,
  record: ProviderRecord,
  client: Client,
})
export type Found = typeof Found.Type

export const FoundFile = Schema.Struct({ version: Schema.Literal(1), ...Found.fields })

const extension = ".json"

const keyOf = (issuer: string): string => [issuer, ...redirectUris].join(" ")

export const make = Effect.gen(function* () {
  const { clientsDirectory } = yield* BrokerConfig
  const files = yield* PrivateFile.make
  const paths = yield* Path.Path
  const digest = yield* Digest.Digest
  const resources = paths.join(clientsDirectory, "resources")

  const fileOf = (folder: string, name: string) =>
    FileName.encode(name).pipe(
      Effect.map((file) => paths.join(folder, file + extension)),
      Effect.provideService(Digest.Digest, digest),
    )

  const store = <A, I>(folder: string, schema: Schema.Codec<A, I>, isOf: (content: A, key: string) => boolean) => {
    const json = Schema.fromJsonString(schema)
    const decode = Schema.decodeUnknownEffect(json)
    const encode = Schema.encodeEffect(json)
    const read = (path: string) => files.readAs(path, decode, StoreCorrupt.make({ path }))
    const get = Effect.fnUntraced(function* (key: string) {
      const path = yield* fileOf(folder, key)
      const found = yield* read(path)
      if (Option.exists(found, (content) => !isOf(content, key))) return yield* StoreCorrupt.make({ path })
      return found
    })
    return {
      get,
      set: Effect.fnUntraced(function* (key: string, content: A) {
        // What cannot be understood is not ours to replace.
        yield* get(key)
        const path = yield* fileOf(folder, key)
        yield* files.write(path, yield* Effect.orDie(encode(content)))
        yield* files.removeLeftovers(path)
      }),
      remove: (key: string) => Effect.flatMap(fileOf(folder, key), files.remove),
      all: files.list(folder, "File").pipe(
        Effect.map((names) => names.filter((name) => name.endsWith(extension))),
        Effect.flatMap(
          Effect.forEach((name) =>
            // One bad file must not hide the others.
            Effect.catch(read(paths.join(folder, name)), (error) =>
              Effect.as(Effect.logWarning(error.message), Option.none()),
            ),
          ),
        ),
        Effect.map((found) => found.flatMap(Option.toArray)),
      ),
    }
  }

  const clients = store(clientsDirectory, ClientFile, ({ issuer }, key) => keyOf(issuer) === key)
  const found = store(resources, FoundFile, ({ name }, key) => name === key)

  /** Forgets what the issuer has forgotten, if it is still that. */
  const removeClient = Effect.fnUntraced(function* (issuer: string, clientId: string) {
    const known = yield* clients.get(keyOf(issuer))
    if (Option.exists(known, ({ client }) => client.clientId === clientId)) yield* clients.remove(keyOf(issuer))
  })

  return {
    /** What we are to an issuer. */
    client: (issuer: string) =>
      Effect.map(
        clients.get(keyOf(issuer)),
        Option.map(({ client }) => client),
      ),
    setClient: (issuer: string, address: string, client: Client) =>
      clients.set(keyOf(issuer), { version: 1, issuer, address, client }),
    removeClient,
    found: found.get,
    /** Where that is kept. */
    fileOfFound: (address: string) => fileOf(resources, address),
    setFound: (content: Found) => found.set(content.name, { version: 1, ...content }),
    /** Forgets where the login of an address is, and what we are there. Returns whether anything of it was known. */
    forget: Effect.fnUntraced(function* (address: string) {
      const known = yield* found.get(address)
      const registered = (yield* clients.all).filter((client) => client.address === address)
      if (Option.isNone(known) && registered.length === 0) return false
      const issuers = [...registered, ...Option.toArray(known).map(({ record }) => record)].map(({ issuer }) => issuer)
      yield* Effect.forEach(issuers, (issuer = "") => clients.remove(keyOf(issuer)), { discard: true })
      yield* found.remove(address)
      return true
    }),
    names: Effect.map(found.all, (all) => all.map(({ name }) => name)),
  }
})
