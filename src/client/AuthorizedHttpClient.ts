/**
 * An `HttpClient` of `effect/http` with the token of an account, by the rules of {@link AuthorizedFetch}: to the hosts of
 * the provider's API and to no others, refreshed once if the API does not take it.
 *
 * The token is set beneath all that `effect/http` knows of a request, so that no span, log or error can hold it. A file of
 * its own, and an entry of the package, because `effect/http` takes a tenth of a second to load.
 */
import { Effect, Layer } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientRequest } from "effect/http"
import type { Broker } from "../broker/Broker.ts"
import type { AccountKey } from "../domain/AccountKey.ts"
import * as AuthorizedFetch from "./AuthorizedFetch.ts"

/**
 * The client, with all that can go wrong in its types.
 *
 * A body that is a stream is sent once: if the token is not taken, the 401 is the answer. The addresses of requests may be
 * relative; a relative one does not end with the scope of `HttpClient.withScope`, only with its fiber.
 */
export const make = Effect.fnUntraced(function* (account: AccountKey, options: AuthorizedFetch.Options = {}) {
  const begin = yield* AuthorizedFetch.make(account, options)
  const client = yield* Effect.provide(HttpClient.HttpClient, FetchHttpClient.layer)

  const execute = Effect.fnUntraced(function* (request: HttpClientRequest.HttpClientRequest) {
    const { send, url } = yield* begin(request.url)
    let failure: AuthorizedFetch.Failure | undefined
    const fetch = AuthorizedFetch.toPromise(yield* Effect.context<never>(), (input, init) =>
      Effect.tapError(send(input, init), (error) =>
        Effect.sync(() => {
          if (error._tag !== "FetchRejected") failure = error
        }),
      ),
    )
    return yield* client
      .execute(URL.canParse(request.url) ? request : HttpClientRequest.setUrl(request, url.href))
      .pipe(
        Effect.provideService(FetchHttpClient.Fetch, fetch),
        Effect.mapError((error) => failure ?? error),
      )
  })

  return HttpClient.makeWith<never, never, HttpClientError.HttpClientError | AuthorizedFetch.Failure, never>(
    Effect.flatMap(execute),
    Effect.succeed,
  )
})

/**
 * The client as the `HttpClient` of a program that need not know about tokens. What is not an `HttpClientError` is the
 * `cause` of one that is not worth a retry.
 */
export const layer = (
  account: AccountKey,
  options: AuthorizedFetch.Options = {},
): Layer.Layer<HttpClient.HttpClient, never, Broker> =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(make(account, options), (client) =>
      HttpClient.makeWith<never, never, HttpClientError.HttpClientError, never>(
        Effect.flatMap((request) =>
          Effect.mapError(client.execute(request), (error) =>
            HttpClientError.isHttpClientError(error) ? error : asHttpClientError(request, error),
          ),
        ),
        Effect.succeed,
      ),
    ),
  )

const asHttpClientError = (request: HttpClientRequest.HttpClientRequest, cause: AuthorizedFetch.Failure) => {
  const said = { request, cause, description: cause.message }
  return new HttpClientError.HttpClientError({
    reason:
      cause._tag === "DestinationRefused"
        ? new HttpClientError.InvalidUrlError(said)
        : new HttpClientError.EncodeError(said),
  })
}
