/**
 * A real authorization server on loopback: oidc-provider, with its own login and consent pages, rotating refresh tokens
 * and revoking the whole grant when one is used twice.
 */
import { generateKeyPairSync } from "node:crypto"
import { createServer, type IncomingMessage, type Server } from "node:http"
import { Effect, type Scope } from "effect"
import { errors, Provider } from "oidc-provider"

export interface Options {
  readonly accessTokenSeconds?: number
  readonly deviceCodeSeconds?: number
  /** Requires this secret of the client. */
  readonly clientSecret?: string
  /** How long the token endpoint takes to answer a refresh, in milliseconds. */
  readonly tokenEndpointDelay?: number
  /** Lets clients register themselves, and gives tokens for these resources only. */
  readonly resources?: (resource: string) => boolean
  /** 0: any free port. */
  readonly port?: number
}

export interface AuthorizationServer {
  readonly issuer: string
  readonly clientId: string
  /** How often the token endpoint was asked, by grant type. */
  readonly calls: { readonly [grantType: string]: number }
  /** Every refresh token that was ever issued. */
  readonly refreshTokens: ReadonlySet<string>
  /** What the token endpoint was asked for, in its order. */
  readonly resources: ReadonlyArray<string>
  /** The clients that have registered themselves. */
  readonly registered: ReadonlyArray<string>
  /** What an access token is for. */
  readonly audienceOf: (token: string) => Promise<unknown>
  /** Forgets a client. */
  readonly forget: (clientId: string) => Promise<void>
}

const clientId = "tokenkeep-test"

/** Where a paste login ends: a page of nobody's. */
export const hostedRedirectUri = "https://paste.example/callback"
/** Where a browser login ends; the port is free to choose. */
export const loopbackRedirectUri = "http://127.0.0.1/callback"

const listen = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer()
      server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      }),
  )

const portOf = (server: Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** Starts a server that lives as long as the scope. */
export const start = (options: Options = {}): Effect.Effect<AuthorizationServer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* listen(options.port ?? 0)
    const issuer = `http://127.0.0.1:${portOf(server)}`
    const calls: Record<string, number> = {}
    const refreshTokens = new Set<string>()
    const resources: Array<string> = []
    const registered: Array<string> = []
    const isKnown = options.resources
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 })

    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: clientId,
          ...(options.clientSecret === undefined
            ? { token_endpoint_auth_method: "none" }
            : { client_secret: options.clientSecret, token_endpoint_auth_method: "client_secret_basic" }),
          application_type: "native",
          grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
          response_types: ["code"],
          redirect_uris: [loopbackRedirectUri, hostedRedirectUri],
        },
      ],
      jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "RS256" }] },
      cookies: { keys: ["only for tests"] },
      features: {
        devInteractions: { enabled: true },
        deviceFlow: { enabled: true, mask: "****-****" },
        revocation: { enabled: true },
        ...(isKnown !== undefined && {
          registration: { enabled: true },
          resourceIndicators: {
            enabled: true,
            getResourceServerInfo: (_: unknown, resource: string) => {
              if (!isKnown(resource)) throw new errors.InvalidTarget()
              return { scope: "mcp:read", audience: resource, accessTokenFormat: "opaque" as const }
            },
            useGrantedResource: () => false,
          },
        }),
      },
      scopes: ["openid", "offline_access", ...(isKnown === undefined ? [] : ["mcp:read"])],
      rotateRefreshToken: true,
      ttl: {
        AccessToken: options.accessTokenSeconds ?? 3600,
        DeviceCode: options.deviceCodeSeconds ?? 600,
        RefreshToken: 86_400,
        Grant: 86_400,
        IdToken: 3600,
        Interaction: 600,
        Session: 86_400,
      },
    })
    provider.use(async (context, next) => {
      await next()
      if (context.path === "/reg" && context.status === 201)
        registered.push(String(Reflect.get(Object(context.body), "client_id")))
      if (context.path !== "/token") return
      resources.push(String(context.oidc?.params?.["resource"] ?? "none"))
      const grantType = String(context.oidc?.params?.["grant_type"] ?? "none")
      calls[grantType] = (calls[grantType] ?? 0) + 1
      if (options.tokenEndpointDelay !== undefined && grantType === "refresh_token") {
        await new Promise((resolve) => setTimeout(resolve, options.tokenEndpointDelay))
      }
      const body: unknown = context.body
      if (
        typeof body === "object" &&
        body !== null &&
        "refresh_token" in body &&
        typeof body.refresh_token === "string"
      ) {
        refreshTokens.add(body.refresh_token)
      }
    })
    const callback = provider.callback()
    server.on("request", (request: IncomingMessage, response) => void callback(request, response))
    return {
      issuer,
      clientId,
      calls,
      refreshTokens,
      resources,
      registered,
      audienceOf: async (token) => (await provider.AccessToken.find(token))?.aud,
      // It is there, and only its types do not know of it.
      forget: (id) => Reflect.get(provider.Client, "adapter").destroy(id),
    }
  })
