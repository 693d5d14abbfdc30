/**
 * {@link Providers} of the configuration, and those that are named by their address and tell themselves where to log in,
 * as MCP servers do.
 *
 * They are asked when somebody logs in, and never after: what they said then is remembered when the login has come to its
 * end, and a refresh token goes there and nowhere else.
 */
import { DateTime, Duration, Effect, Layer, Option, Result, Semaphore } from "effect"
import * as Account from "../domain/AccountKey.ts"
import type { Granter } from "../domain/AccountRecord.ts"
import { FlowInitiationFailed, type ProviderNotConfigured } from "../domain/Errors.ts"
import type { Peer } from "../domain/Peer.ts"
import { oneLine, printable } from "../domain/RemoteText.ts"
import type { FlowType } from "../domain/Session.ts"
import * as ClientRegistration from "../oauth/ClientRegistration.ts"
import type { Guard } from "../oauth/Guard.ts"
import * as ProtectedResource from "../oauth/ProtectedResource.ts"
import { granterOf, type Provider } from "../oauth/Provider.ts"
import { ProviderFetch } from "../oauth/ProviderFetch.ts"
import type { ErrorRule, ProviderRecord } from "../oauth/ProviderRecord.ts"
import { BrokerConfig } from "./BrokerConfig.ts"
import { CurrentPeer } from "./CurrentPeer.ts"
import * as FileReading from "../system/FileReading.ts"
import { Providers } from "./Providers.ts"
import * as ProvidersFile from "./ProvidersFile.ts"
import * as RegistrationsFile from "./RegistrationsFile.ts"

/** Whoever asks over a socket gives up after 30 s. */
const patience = Duration.seconds(25)

/** Logins in progress at such servers; of older ones it is not remembered where they were begun. */
const mostPrepared = 256

/** What sandboxes have us ask at a time, all of them together: others must not be flooded in our name. */
const mostForSandboxes = 4

/** The person who runs the host types into its own program, or into one that connects to its own socket. */
const isHostsOwn = (peer: Peer): boolean => peer._tag === "InProcess" || peer.grant === "host"

/** What one client may be for. A server that asks for other scopes each time must not have it grow without end. */
const mostScopes = 256

const keyOf = (name: string, { clientId, server }: Granter): string => [name, server, clientId].join("\n")

export const layerNoDeps = Layer.effect(
  Providers,
  Effect.gen(function* () {
    const configured = yield* Providers
    const { configFile } = yield* BrokerConfig
    const clients = yield* RegistrationsFile.make
    const files = yield* FileReading.make
    const fetch = yield* ProviderFetch
    const forSandboxes = yield* Semaphore.make(mostForSandboxes)

    /** What was found for logins in progress, by who is to give the token. */
    const prepared = new Map<string, RegistrationsFile.Found>()

    const providerOf = ({ client, isTyped, name, record }: RegistrationsFile.Found): Provider => ({
      ...record,
      name,
      secret: Option.fromUndefinedOr(client.clientSecret),
      guard: guardOf(name, isTyped),
      // The next login registers anew.
      whenClientRefused: clients
        .removeClient(record.issuer ?? "", client.clientId)
        .pipe(Effect.catch((error) => Effect.logWarning(error.message))),
    })

    const foundAs = Effect.fnUntraced(function* (name: string, unknown: ProviderNotConfigured) {
      const found = isUnknown(name, unknown) ? yield* clients.found(name) : Option.none()
      return Option.isSome(found) ? found.value : yield* unknown
    })

    let lastConfig: FileReading.FileReading<unknown> | undefined
    /** What was found, of those that this configuration says nothing of. */
    const glanced = new Map<string, FileReading.FileReading<Option.Option<RegistrationsFile.Found>>>()

    /** As `configured.record`, else as it was found; and remembers it for a glance. */
    const recordAs = Effect.fnUntraced(function* (name: string) {
      const own = yield* files.read(configFile, Effect.result(configured.record(name)))
      if (Result.isSuccess(own.value)) return own.value.success
      const unknown = own.value.failure
      if (unknown._tag !== "ProviderNotConfigured" || !isUnknown(name, unknown)) return yield* unknown
      const found = yield* files.read(yield* clients.fileOfFound(name), clients.found(name))
      if (Option.isNone(found.value)) return yield* unknown
      if (Option.isSome(own.reading) && Option.isSome(found.reading)) {
        if (lastConfig === undefined || !files.isCurrent(lastConfig)) glanced.clear()
        lastConfig = own.reading.value
        glanced.set(name, found.reading.value)
      }
      return found.value.value.record
    })

    const glanceAtFound = (name: string) => {
      const reading = glanced.get(name)
      if (reading === undefined || lastConfig === undefined) return Option.none()
      return files.isCurrent(lastConfig) && files.isCurrent(reading)
        ? Option.map(reading.value, ({ record }) => record)
        : Option.none()
    }

    const changed = Effect.sync(files.changed)

    const clientFor = Effect.fnUntraced(function* (name: string, server: ProtectedResource.NamedServer, guard: Guard) {
      const known = yield* clients.client(server.issuer)
      const now = yield* DateTime.now
      if (Option.exists(known, (client) => ClientRegistration.isGoodFor(client, server.scopes, now))) return known
      const before = Option.match(known, { onNone: () => [], onSome: ({ scopes }) => scopes })
      const scopes = [...new Set([...server.scopes, ...before])].slice(0, mostScopes)
      const client = yield* ClientRegistration.register(fetch, name, { ...server, scopes }, guard)
      // Before it is used: what is registered and not written down is of no use to anybody, and no harm.
      yield* clients.setClient(server.issuer, name, client)
      return Option.some(client)
    })

    const find = Effect.fnUntraced(function* (name: string, isTyped: boolean) {
      const guard = guardOf(name, isTyped)
      const server = yield* ProtectedResource.discover(fetch, name, guard)
      const client = Option.getOrThrow(yield* clientFor(name, server, guard))
      return { name, isTyped, client, record: recordOf(name, server, client) } satisfies RegistrationsFile.Found
    })

    const prepare = Effect.fn("Providers.prepare")(function* (name: string) {
      const canonical = Account.canonicalName(name)
      if (canonical !== name) {
        return yield* FlowInitiationFailed.make({ detail: `This server is called ${printable(canonical)} here.` })
      }
      const before = yield* clients.found(name)
      const isOurs = isHostsOwn(yield* CurrentPeer)
      const finding = find(name, isOurs || Option.exists(before, (found) => found.isTyped))
      const found = yield* (isOurs ? finding : forSandboxes.withPermit(finding)).pipe(
        Effect.timeoutOrElse({
          duration: patience,
          orElse: () =>
            Effect.fail(
              new ProtectedResource.DiscoveryFailed({
                resource: name,
                what: "it takes too long to find out where",
                remedy: "wait",
              }),
            ),
        }),
        Effect.catchTag("DiscoveryFailed", ({ message, remedy }) =>
          Effect.fail(FlowInitiationFailed.make({ detail: message, remedy })),
        ),
      )
      // Whatever sandboxes begin, the logins of the host's own person come to their end.
      const [oldest] = [...prepared].find(([, { isTyped }]) => !isTyped) ?? [...prepared.keys()]
      if (prepared.size >= mostPrepared && oldest !== undefined) prepared.delete(oldest)
      prepared.set(keyOf(name, granterOf(found.record)), found)
      return providerOf(found)
    })

    const orAsk = Effect.fnUntraced(function* (name: string, unknown: ProviderNotConfigured) {
      if (!isUnknown(name, unknown)) return yield* unknown
      return yield* prepare(name)
    })

    const orForget = Effect.fnUntraced(function* (name: string, unknown: ProviderNotConfigured) {
      if (!isUnknown(name, unknown) || !(yield* clients.forget(name))) return yield* unknown
    })

    return Providers.of({
      ...configured,
      get: (name) =>
        Effect.catchTag(configured.get(name), "ProviderNotConfigured", (unknown) =>
          Effect.map(foundAs(name, unknown), providerOf),
        ),
      record: (name) => (Account.isAddress(name) ? recordAs(name) : configured.record(name)),
      glance: (name) => Option.orElse(configured.glance(name), () => glanceAtFound(name)),
      prepare: (name) =>
        Effect.catchTag(configured.prepare(name), "ProviderNotConfigured", (unknown) => orAsk(name, unknown)),
      settle: Effect.fn("Providers.settle")(function* (name, granter) {
        const found = prepared.get(keyOf(name, granter))
        if (found !== undefined) yield* Effect.tap(clients.setFound(found), changed)
      }),
      list: Effect.zipWith(configured.list, clients.names, (names, found) => [...new Set([...names, ...found])]),
      set: (name, said) => Effect.tap(configured.set(name, said), changed),
      remove: (name) =>
        Effect.tap(
          Effect.catchTag(configured.remove(name), "ProviderNotConfigured", (unknown) => orForget(name, unknown)),
          changed,
        ),
    })
  }),
)

export const layer = layerNoDeps.pipe(Layer.provide(ProvidersFile.layer), Layer.provide(ProviderFetch.layer))

/** Of what is known, and only lacks something, the configuration has to say more. */
const isUnknown = (name: string, { missing }: ProviderNotConfigured): boolean =>
  Account.isAddress(name) && missing === undefined

const guardOf = (name: string, isTyped: boolean): Guard => (isTyped ? { typed: name } : {})

/** RFC 6749 section 5.2: a client that is not known any more takes its tokens with it. */
const refusedClients: ReadonlyArray<ErrorRule> = [400, 401].flatMap((status) =>
  ["invalid_client", "unauthorized_client"].map((code): ErrorRule => ({
    calls: ["refresh"],
    status,
    code,
    means: "relogin",
  })),
)

/** A device code first asks for a flow that may be switched off; to carry an answer over by hand is the last resort. */
const flowsOf = (hasDeviceCode: boolean): readonly [FlowType, ...Array<FlowType>] =>
  hasDeviceCode ? ["browser_redirect", "device_code", "pkce_redirect"] : ["browser_redirect", "pkce_redirect"]

/** A host as a person can judge it: whose it is its end says. */
const hostOf = (url: string): string => {
  const { host } = new URL(url)
  return host.length <= 100 ? host : `…${host.slice(-100)}`
}

/** What a person should know of a login: all the hosts that have a part in it, and what is asked for there. */
const noticeOf = (name: string, { issuer, metadata, scopes }: ProtectedResource.NamedServer): string => {
  const { authorization_endpoint, device_authorization_endpoint, token_endpoint } = metadata
  const urls = [authorization_endpoint, token_endpoint, device_authorization_endpoint ?? issuer]
  const others = [...new Set(urls.map(hostOf))].filter((host) => host !== hostOf(issuer))
  const at = [hostOf(issuer), ...(others.length > 0 ? [`(and at ${others.join(", ")})`] : [])].join(" ")
  // What is left out is counted, so that nothing hides at the end.
  const shown = scopes.filter((_, index) => scopes.slice(0, index + 1).join(" ").length <= 400)
  const more = scopes.length > shown.length ? [`and ${scopes.length - shown.length} more`] : []
  const asks = scopes.length === 0 ? "no particular scope" : [...shown, ...more].join(" ")
  return oneLine(`${hostOf(name)} has its logins at ${at}, and asks there for: ${asks}`)
}

const recordOf = (
  name: string,
  server: ProtectedResource.NamedServer,
  client: ClientRegistration.Client,
): ProviderRecord => {
  const { issuer, metadata, resource, scopes } = server
  const device = metadata.device_authorization_endpoint
  const revocation = metadata.revocation_endpoint
  return {
    issuer,
    endpoints: {
      authorization: metadata.authorization_endpoint,
      token: new URL(metadata.token_endpoint).href,
      ...(device !== undefined && { deviceAuthorization: device }),
      ...(revocation !== undefined && { revocation }),
    },
    clientId: client.clientId,
    ...(client.authentication !== undefined && { clientAuthentication: client.authentication }),
    ...(metadata.authorization_response_iss_parameter_supported === true && { issuerInAnswer: true }),
    scopes,
    flows: flowsOf(device !== undefined),
    redirectUris: ClientRegistration.redirectUris,
    publicFields: [],
    resource,
    api: { baseUrl: name },
    errors: refusedClients,
    notice: noticeOf(name, server),
  }
}
