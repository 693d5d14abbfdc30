/**
 * An issuer that means no good: it sends the browser back with whatever it is told to.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { Effect, type Scope } from "effect"

/** What the browser is sent back with, besides the state. */
export type Answer = { readonly [parameter: string]: string }

export interface HostileIssuer {
  readonly issuer: string
}

/** Starts it. Each visit of its login page takes the next answer, when there is one. */
export const start = (answers: Iterator<Promise<Answer>>): Effect.Effect<HostileIssuer, never, Scope.Scope> =>
  Effect.gen(function* () {
    let issuer = ""
    const respond = async (request: IncomingMessage, response: ServerResponse) => {
      const url = new URL(request.url ?? "/", issuer)
      if (url.pathname === "/auth") {
        const back = new URL(url.searchParams.get("redirect_uri") ?? issuer)
        const next = answers.next()
        const parameters = next.done === true ? {} : await next.value
        const state = url.searchParams.get("state") ?? ""
        back.search = new URLSearchParams({ state, ...parameters }).toString()
        response.writeHead(302, { location: back.href }).end()
      } else if (url.pathname.startsWith("/.well-known/")) {
        response.setHeader("content-type", "application/json").end(
          JSON.stringify({
            issuer,
            authorization_endpoint: `${issuer}/auth`,
            token_endpoint: `${issuer}/token`,
            response_types_supported: ["code"],
          }),
        )
      } else response.writeHead(404).end()
    }
    const server = createServer((request, response) => void respond(request, response))
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        }),
    )
    const address = server.address()
    issuer = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
    return { issuer }
  })
