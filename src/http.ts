/**
 * Requests with the token of an account, for programs that use `effect/http`.
 *
 * - `AuthorizedHttpClient.layer`: an `HttpClient`; `AuthorizedHttpClient.make` has all that can go wrong in its types.
 * - `AuthorizedFetch.fetchFor`, also in `tokenkeep` itself: the same as a `fetch`.
 */
export * as AuthorizedFetch from "./client/AuthorizedFetch.ts"
export * as AuthorizedHttpClient from "./client/AuthorizedHttpClient.ts"
