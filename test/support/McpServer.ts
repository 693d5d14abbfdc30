/**
 * A server on loopback that wants a token, and says where to get one: what of MCP a login sees.
 */
import { createServer, type Server } from "node:http"
import { Effect, type Scope } from "effect"

/** What the server says of itself; a test may change it at any time. */
export interface Sayings {
  /** The whole header of a refusal; without it the metadata is where it has to be. */
  challenge?: string
  /** `authorization_servers`, and whatever else it says. */
  metadata?: object
}

export interface McpServer {
  readonly address: string
  readonly says: Sayings
  /** The paths that were asked for. */
  readonly asked: ReadonlyArray<string>
}

/** Starts a server at `/mcp`, where a token is good that `isGood` says so of. */
export const start = (isGood: (token: string, address: string) => Promise<boolean>) =>
  Effect.gen(function* (): Effect.fn.Return<McpServer, never, Scope.Scope> {
    const says: Sayings = {}
    const asked: Array<string> = []
    const server = yield* Effect.acquireRelease(
      Effect.callback<Server>((resume) => {
        const server = createServer()
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        }),
    )
    const bound = server.address()
    const address = `http://127.0.0.1:${typeof bound === "object" && bound !== null ? bound.port : 0}/mcp`
    server.on("request", async (request, response) => {
      const path = request.url ?? ""
      asked.push(path)
      request.resume()
      if (path === "/mcp") {
        const [, token] = /^Bearer (.+)$/.exec(request.headers.authorization ?? "") ?? []
        if (token !== undefined && (await isGood(token, address))) return response.end("welcome")
        return response.writeHead(401, { "www-authenticate": says.challenge ?? "Bearer" }).end()
      }
      if (path === "/.well-known/oauth-protected-resource/mcp" && says.metadata !== undefined) {
        return response
          .writeHead(200, { "content-type": "application/json" })
          .end(JSON.stringify({ resource: address, ...says.metadata }))
      }
      return response.writeHead(404).end()
    })
    return { address, says, asked }
  })
