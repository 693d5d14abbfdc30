/**
 * An authorization server for tests: it follows the RFCs (discovery, PKCE with S256, device codes, rotating refresh
 * tokens that end the login when used twice), does what the test says a person does, and behaves as badly as a test
 * tells it to.
 *
 * Here it takes the place of `fetch`, so nothing is sent anywhere; {@link ScriptedServer} has it listen.
 */
import { Context, Effect, Layer, type Redacted } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { FetchHttpClient } from "effect/http"
import type { Provider } from "../oauth/Provider.ts"
import * as AuthorizationServer from "./AuthorizationServer.ts"
import type { Answer, Step } from "./Behaviour.ts"
import * as InProcessFetch from "./InProcessFetch.ts"
import type { Call } from "./Journal.ts"
import type { Login } from "./Login.ts"
import type { Changes } from "./Policy.ts"
import type { Family } from "./TokenFamilies.ts"

/** What a person can do, how the server is to behave, and what it saw. */
export class ScriptedProvider extends Context.Service<
  ScriptedProvider,
  {
    /** How the broker knows it. Offers all three flows. */
    readonly provider: Provider & { readonly issuer: string }
    /** A new login, as if somebody had gone through a flow. */
    readonly login: Effect.Effect<Login>
    /** A person opens the authorization URL and says yes: where the browser is sent. */
    readonly grant: (authorizationUrl: string) => Effect.Effect<string>
    /** A person opens the authorization URL and says no: where the browser is sent. */
    readonly deny: (authorizationUrl: string) => Effect.Effect<string>
    /** A person enters a device code and says yes. */
    readonly grantDevice: (userCode: string) => Effect.Effect<void>
    /** A person enters a device code and says no. */
    readonly denyDevice: (userCode: string) => Effect.Effect<void>
    /** How the token endpoint behaves for the next refreshes, in turn; after what was said before, and then well. */
    readonly script: (steps: ReadonlyArray<Step>) => Effect.Effect<void>
    /** The steps of the script that were not played yet. */
    readonly unplayed: Effect.Effect<ReadonlyArray<Step>>
    /** The token endpoint gives this answer next, whatever it is asked: `script` with a literal answer. */
    readonly answerNext: (answer: Answer) => Effect.Effect<void>
    /** Changes how every login is treated from now on. */
    readonly setPolicy: (changes: Changes) => Effect.Effect<void>
    /** Whether a resource would take this access token. */
    readonly isActive: (accessToken: Redacted.Redacted) => Effect.Effect<boolean>
    /** What became of each login. */
    readonly families: Effect.Effect<ReadonlyArray<Family>>
    /** The calls of the token endpoint, in order. */
    readonly journal: Effect.Effect<ReadonlyArray<Call>>
    /** Only their grant types. */
    readonly calls: Effect.Effect<ReadonlyArray<Call["grantType"]>>
    /** Every secret that was sent to the server or issued by it, and what it is: for tests that look for leaks. */
    readonly secrets: Effect.Effect<ReadonlyArray<readonly [kind: string, value: string]>>
  }
>()("tokenkeep/testing/ScriptedProvider") {
  /** The server, and the `fetch` that leads to it. */
  static readonly layer = (options: AuthorizationServer.Options = {}): Layer.Layer<ScriptedProvider> =>
    Layer.effectContext(make(options)).pipe(Layer.provide([Digest.layerWebCrypto, SecureRandom.layerWebCrypto]))
}

const issuer = "https://scripted.example"

const make = Effect.fnUntraced(function* (options: AuthorizationServer.Options) {
  const { controls, handle } = yield* AuthorizationServer.make(issuer, options)
  const fetch = yield* InProcessFetch.make(issuer, handle)
  return Context.make(ScriptedProvider, ScriptedProvider.of(controls)).pipe(Context.add(FetchHttpClient.Fetch, fetch))
})
