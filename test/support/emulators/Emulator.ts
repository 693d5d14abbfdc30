/**
 * What the emulators of vendors have in common: a server on loopback that keeps what it was asked, a person who grants and
 * denies, and the books of who was given what. What a vendor answers is its own file's.
 *
 * The same emulator also answers a `fetch` in process, for tests whose clock stands still.
 */
import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type Server } from "node:http"
import { Effect, type Scope } from "effect"

/** A request, read whole. */
export interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Headers
  readonly body: string
  /** The parameters of a body that is a form, and says so. */
  readonly form: { readonly [name: string]: string } | undefined
  /** The texts in a body that is a JSON object, and says so. */
  readonly json: { readonly [name: string]: string } | undefined
}

/** A body that is text is sent as it is. */
export interface Reply {
  readonly status: number
  readonly body: unknown
  readonly headers?: { readonly [name: string]: string }
}

export type Fate = "pending" | "granted" | "denied" | "expired"

interface Tokens {
  readonly access: string
  readonly refresh: string
}

export const ok = (body: unknown): Reply => ({ status: 200, body })
export const problem = (status: number, error: string, description = "As the vendor says it."): Reply => ({
  status,
  body: { error, error_description: description },
})

/** The books: codes, device codes and tokens, each good for what it was given for. */
export const makeBooks = () => {
  let count = 0
  const codes = new Map<string, { readonly redirectUri: string; readonly challenge: string | undefined }>()
  const devices = new Map<string, { readonly userCode: string; readonly challenge: string | undefined; fate: Fate }>()
  const refreshTokens = new Set<string>()
  const accessTokens = new Set<string>()
  const issue = (): Tokens => {
    count += 1
    const tokens = { access: `access-${count}-secret`, refresh: `refresh-${count}-secret` }
    accessTokens.add(tokens.access)
    refreshTokens.add(tokens.refresh)
    return tokens
  }
  const proves = (challenge: string | undefined, verifier: string | undefined) =>
    challenge === undefined
      ? verifier === undefined
      : verifier !== undefined && createHash("sha256").update(verifier).digest("base64url") === challenge
  const settle = (fate: Fate) => (userCode: string) => {
    const device = [...devices.values()].find((known) => known.userCode === userCode)
    if (device === undefined) throw new Error(`nobody was given the code ${userCode}`)
    device.fate = fate
  }
  return {
    code: (redirectUri: string, challenge: string | undefined) => {
      count += 1
      // As vendors make them, with characters that mean something in an address.
      const code = `4/code-${count}_secret`
      codes.set(code, { redirectUri, challenge })
      return code
    },
    /** Whether the code is good, which it is once. */
    redeems: (form: { readonly [name: string]: string }) => {
      const known = codes.get(form["code"] ?? "")
      codes.delete(form["code"] ?? "")
      return (
        known !== undefined &&
        known.redirectUri === form["redirect_uri"] &&
        proves(known.challenge, form["code_verifier"])
      )
    },
    device: (challenge?: string) => {
      count += 1
      const deviceCode = `device-${count}-secret`
      const userCode = `USER-${count}`
      devices.set(deviceCode, { userCode, challenge, fate: "pending" })
      return { deviceCode, userCode }
    },
    /** How it goes with a device code; undefined if there is none, or it is another's. */
    fateOf: (form: { readonly [name: string]: string }): Fate | undefined => {
      const device = devices.get(form["device_code"] ?? "")
      return device !== undefined && proves(device.challenge, form["code_verifier"]) ? device.fate : undefined
    },
    issue,
    isRefreshToken: (token: string | undefined) => refreshTokens.has(token ?? ""),
    isAccessToken: (token: string | undefined) => accessTokens.has(token ?? ""),
    /** Ends a token. Whether there was one. */
    end: (token: string | undefined) => refreshTokens.delete(token ?? "") || accessTokens.delete(token ?? ""),
    grant: settle("granted"),
    deny: settle("denied"),
    expire: settle("expired"),
  }
}
export type Books = ReturnType<typeof makeBooks>

/** A vendor: what it answers at each path, and what is wrong with an authorization request. */
export interface Vendor {
  readonly authorize: string
  readonly token: string
  readonly device?: string
  readonly revoke?: string
  /** Says what is wrong with the request, or undefined. */
  readonly objects: (query: URLSearchParams) => string | undefined
  /** By path; what is not posted, by its method too: `GET /path`. */
  readonly answers: { readonly [path: string]: (asked: Asked) => Reply }
}

const textsIn = (body: string): { readonly [name: string]: string } => {
  const parsed: unknown = JSON.parse(body)
  return typeof parsed === "object" && parsed !== null
    ? Object.fromEntries(Object.entries(parsed).filter((field) => typeof field[1] === "string"))
    : {}
}

const read = (request: IncomingMessage) =>
  new Promise<string>((resolve, reject) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")))
    request.on("error", reject)
  })

const listen = Effect.acquireRelease(
  Effect.callback<Server>((resume) => {
    const server = createServer()
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    }),
)

/** Starts a vendor; it lives as long as the scope. */
export const start = (make: (books: Books, origin: () => string) => Vendor) =>
  Effect.gen(function* () {
    const server: Server = yield* listen
    const address = server.address()
    const origin = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
    const books = makeBooks()
    const vendor = make(books, () => origin)
    const requests: Array<Asked> = []
    const script: Array<Reply> = []

    const handle = (method: string, address: string, headers: Headers, body: string): Reply => {
      const url = new URL(address, origin)
      const isForm = headers.get("content-type")?.startsWith("application/x-www-form-urlencoded") === true
      const asked: Asked = {
        method,
        path: url.pathname,
        query: url.searchParams,
        headers,
        body,
        form: isForm ? Object.fromEntries(new URLSearchParams(body)) : undefined,
        json: headers.get("content-type")?.startsWith("application/json") === true ? textsIn(body) : undefined,
      }
      requests.push(asked)
      const answer = vendor.answers[method === "POST" ? asked.path : `${method} ${asked.path}`]
      if (answer === undefined) return { status: 404, body: "<html>Not found</html>" }
      return script.shift() ?? answer(asked)
    }

    server.on("request", (request, response) => {
      void read(request).then((body) => {
        const headers = new Headers()
        for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value))
        const reply = handle(request.method ?? "GET", request.url ?? "/", headers, body)
        const isText = typeof reply.body === "string"
        response.writeHead(reply.status, {
          "content-type": isText ? "text/plain" : "application/json",
          ...reply.headers,
        })
        response.end(isText ? reply.body : JSON.stringify(reply.body))
      })
    })

    const fetch: typeof globalThis.fetch = async (input, init) => {
      const request = new Request(input, init)
      const { body, headers, status } = handle(request.method, request.url, request.headers, await request.text())
      return new Response(typeof body === "string" ? body : JSON.stringify(body), {
        status,
        ...(headers && { headers }),
      })
    }

    return {
      origin,
      /** As a person would say them in the configuration. */
      endpoints: {
        authorization: origin + vendor.authorize,
        token: origin + vendor.token,
        ...(vendor.device !== undefined && { deviceAuthorization: origin + vendor.device }),
        ...(vendor.revoke !== undefined && { revocation: origin + vendor.revoke }),
      },
      /** All that it was asked, in order. */
      requests,
      /** The forms that came to a path. */
      formsTo: (path: string) => requests.filter((asked) => asked.path === path).map(({ form }) => form ?? {}),
      /** What the next requests are answered, whatever they are; none of them is looked at. */
      says: (...replies: ReadonlyArray<Reply>) => void script.push(...replies),
      /** From now on it answers for itself again. */
      hush: () => void script.splice(0),
      fetch,
      /** A person opens the authorization page. Where their browser is sent then. */
      visit: (authorizationUrl: string, will: "grant" | "deny" = "grant"): string => {
        const url = new URL(authorizationUrl)
        const query = url.searchParams
        const back = new URL(query.get("redirect_uri") ?? "")
        const objection =
          url.origin + url.pathname === origin + vendor.authorize
            ? vendor.objects(query)
            : `it is no page: ${url.pathname}`
        if (objection !== undefined) throw new Error(`the authorization page says: ${objection}`)
        if (will === "deny") back.searchParams.set("error", "access_denied")
        else back.searchParams.set("code", books.code(back.href, query.get("code_challenge") ?? undefined))
        back.searchParams.set("state", query.get("state") ?? "")
        return back.href
      },
      grant: books.grant,
      deny: books.deny,
      expire: books.expire,
      /** Ends a token as its owner would on the vendor's pages. */
      end: books.end,
      isGood: (token: string) => books.isRefreshToken(token) || books.isAccessToken(token),
    }
  })
export type Emulator = Effect.Success<ReturnType<typeof start>>
export type Start = Effect.Effect<Emulator, never, Scope.Scope>

/** What every authorization page here wants. */
export const lacks = (
  query: URLSearchParams,
  wanted: { readonly [name: string]: string | RegExp },
): string | undefined => {
  for (const [name, value] of Object.entries(wanted)) {
    const said = query.get(name) ?? ""
    if (typeof value === "string" ? said !== value : !value.test(said)) return `${name} is ${JSON.stringify(said)}`
  }
  return undefined
}
