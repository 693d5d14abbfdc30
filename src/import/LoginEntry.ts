/**
 * A login that another tool keeps, as it was found: what can be taken over of it, and why not where nothing can.
 */
import { DateTime, Duration, Option, Redacted, Schema } from "effect"
import { isFresh, type StoredToken } from "../domain/Token.ts"

/** How to ask a program of the system, or the tool itself, for what is in no file. */
export type Ask =
  /** macOS: a generic password; `suffixOf` is hashed and appended to the name of the service. */
  | { readonly _tag: "Keychain"; readonly service: string; readonly suffixOf?: string; readonly account: string }
  | { readonly _tag: "Gh"; readonly host: string; readonly user?: string }

/** What there is of a login. */
export type Content =
  | { readonly _tag: "Token"; readonly token: StoredToken }
  /** There is nothing to take; `why` ends a sentence. */
  | { readonly _tag: "Dead"; readonly why: string }
  /** It is in no file that can be read; `ask` where a program may be asked for it. */
  | { readonly _tag: "Elsewhere"; readonly where: string; readonly ask?: Ask }

/** One login in a file. */
export interface Entry {
  /** What the file calls it, where it has several. */
  readonly entry: string
  /** Whose login it is, where the file says so. */
  readonly account?: string
  /** The built-in provider whose login it is; none where a person has to name one. */
  readonly provider?: string
  /** Whether the provider replaces the refresh token when it is used. */
  readonly rotates: boolean
  readonly content: Content
}

/** What a file says: logins, perhaps none. Nothing if it cannot be understood. */
export type Reading = Option.Option<ReadonlyArray<Entry>>

/** A file in which a tool may keep logins. */
export interface Place {
  readonly path: string
  readonly read: (text: string) => Reading
  /** Looked at only where the places before have no login. */
  readonly onlyIfNothingElse?: boolean
  /** Another file that names whose login it is. */
  readonly owner?: { readonly path: string; readonly read: (text: string) => string | undefined }
}

/** Epoch milliseconds are above this, seconds below: as seconds it is the year 5138, as milliseconds 1973. */
const millisecondsFrom = 1e11

/** What is known of an expiry. */
export type Expiry = DateTime.Utc | "never" | "unknown"

/** An expiry in epoch milliseconds or seconds, whichever it must be. */
export const expiryOf = (value: number | string | null | undefined): Expiry => {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value
  if (typeof number !== "number" || !Number.isFinite(number) || number <= 0) return "unknown"
  return Option.getOrElse(
    DateTime.make(Math.round(number >= millisecondsFrom ? number : number * 1000)),
    (): Expiry => "unknown",
  )
}

/** A text that says something. */
export const textOf = (value: string | null | undefined): string | undefined =>
  value === null || value === undefined || value.trim() === "" ? undefined : value

/** Fields of files that may be missing, and may be null. */
export const Text = Schema.optionalKey(Schema.NullOr(Schema.String))
export const Time = Schema.optionalKey(Schema.NullOr(Schema.Union([Schema.Finite, Schema.String])))

const beginning = DateTime.makeUnsafe(0)

/** Stands where no access token is known. It is never handed out: it has expired, and is replaced by a refresh. */
const noAccessToken = "none-yet"

/** What there is, of the fields that every store has in one way or another. */
export const contentOf = (fields: {
  readonly accessToken: string | null | undefined
  readonly refreshToken: string | null | undefined
  readonly expiry: Expiry
  readonly scope?: string | undefined
  readonly tokenType?: string | null | undefined
  readonly extras?: { readonly [name: string]: string | undefined }
}): Content => {
  const accessToken = textOf(fields.accessToken)
  const refreshToken = textOf(fields.refreshToken)
  if (accessToken === undefined && refreshToken === undefined) {
    return { _tag: "Dead", why: "its tokens are empty: the tool has logged out, or its last refresh failed" }
  }
  // What expires nobody knows when is refreshed before it is used; what cannot be refreshed is used as it is.
  const isUnknown = accessToken === undefined || (fields.expiry === "unknown" && refreshToken !== undefined)
  const expiresAt = isUnknown ? beginning : fields.expiry
  const scope = textOf(fields.scope)
  const extras = Object.entries(fields.extras ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  return {
    _tag: "Token",
    token: {
      accessToken: Redacted.make(accessToken ?? noAccessToken),
      ...(refreshToken !== undefined && { refreshToken: Redacted.make(refreshToken) }),
      ...(typeof expiresAt !== "string" && { expiresAt }),
      ...(scope !== undefined && { scope }),
      tokenType: textOf(fields.tokenType) ?? "Bearer",
      extras: Redacted.make(Object.fromEntries(extras)),
    },
  }
}

/** How a login is. */
export type State =
  /** The access token is good. */
  | "usable"
  /** The access token has expired, or is not known; the refresh token brings another. */
  | "refreshable"
  /** The access token is good until it expires, and nothing brings another. */
  | "access only"
  | "dead"
  | "elsewhere"

export const stateOf = (
  content: Content,
  now: DateTime.Utc,
): { readonly state: State; readonly why: Option.Option<string> } => {
  switch (content._tag) {
    case "Dead":
      return { state: "dead", why: Option.some(content.why) }
    case "Elsewhere":
      return { state: "elsewhere", why: Option.some(content.where) }
    case "Token": {
      const { expiresAt, refreshToken } = content.token
      const isGood = isFresh(content.token, now, Duration.zero)
      if (refreshToken !== undefined) return { state: isGood ? "usable" : "refreshable", why: Option.none() }
      if (expiresAt === undefined) return { state: "usable", why: Option.none() }
      return isGood
        ? { state: "access only", why: Option.some("there is no refresh token with it") }
        : { state: "dead", why: Option.some("its access token has expired, and there is no refresh token") }
    }
  }
}

/** Reads JSON of a shape, whatever else is in it. */
export const decoder = <A, I>(schema: Schema.Codec<A, I>) => Schema.decodeOption(Schema.fromJsonString(schema))
