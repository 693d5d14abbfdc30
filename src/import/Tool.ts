/**
 * Another tool that keeps logins on this machine.
 */
import type { DateTime, Schema } from "effect"
import type { StoredToken } from "../domain/Token.ts"
import type { Path } from "./JsonText.ts"
import type { Place } from "./LoginEntry.ts"
import type * as Machine from "./Machine.ts"

/** Where one login is in a JSON file, for a login of which the tool is to keep the access token only. */
export interface Shape {
  /** A text; it is empty where the tool has no refresh token. */
  readonly refreshToken: Path
  readonly accessToken: Path
  /** Where a text says of which kind a login is, and what it says of one with such tokens; others are left alone. */
  readonly kind?: readonly [Path, string]
  /** What is written with an access token. */
  readonly besides: (token: StoredToken, now: DateTime.Utc) => ReadonlyArray<readonly [Path, Schema.Json]>
}

export interface Tool {
  /** What a person types. */
  readonly name: string
  /** What it calls itself. */
  readonly title: string
  /** Its files, those that it uses first. */
  readonly places: (machine: Machine.Facts) => ReadonlyArray<Place>
  /** How a login in its file is edited. Without it the tool does not put up with a login that has no refresh token. */
  readonly shape?: (entry: string) => Shape
}
