/**
 * What a credential helper has to work with. Nothing in this folder loads Effect: a helper is started by git, kubectl and
 * others for every single request, and most of its short life would be spent on loading code.
 */

/** A token on its way to another program. */
export interface Handout {
  readonly accessToken: string
  /** Seconds since the epoch. Without it the provider has named no expiry. */
  readonly expiresAt: number | undefined
  readonly tokenType: string
  readonly scopes: ReadonlyArray<string>
}
