/**
 * The versions of an account's file: how older ones become the current one, and which are newer than this program.
 *
 * A file is upgraded whenever it is read, and written as the current version when it is next saved. What is newer can be
 * read as far as it is understood, and is not for this program to write: it would lose what it does not know of.
 */
import { DateTime, Option, Predicate } from "effect"
import type { ExtrasMigration } from "../oauth/Provider.ts"
import type { Extras } from "../domain/Token.ts"

/** What is in a file, before anybody has looked whether it is a record. */
export type File = { readonly [name: string]: unknown }

/** Makes the next version of a file. `now` stands for what an older file does not say. */
type Migration = (file: File, now: DateTime.Utc) => File

/** There were no histories at first; then there were, and the files were called version 1 still. */
const withHistory: Migration = (file, now) => ({
  since: DateTime.formatIso(now),
  history: { epoch: 0, standing: { _tag: "Good" }, rotation: "unknown", failures: 0 },
  ...file,
})

/** The first makes version 2 of version 1, and so on. Whoever changes what is written adds one; none is ever changed. */
const migrations: ReadonlyArray<Migration> = [withHistory]

/** The version that is written. */
export const current = migrations.length + 1

type Reading =
  | { readonly _tag: "Current"; readonly file: File }
  | { readonly _tag: "Newer"; readonly file: File }
  /** It does not say of which version it is. */
  | { readonly _tag: "Unversioned" }

const versionIn = (value: unknown, first: number): Option.Option<number> =>
  Option.filter(
    Option.liftPredicate(Predicate.isNumber)(value),
    (version) => Number.isSafeInteger(version) && version >= first,
  )

/** Makes the current version of a file, if it is not a newer one. */
export const upgrade = (file: File, now: DateTime.Utc): Reading => {
  const version = versionIn(file["version"], 1)
  if (Option.isNone(version)) return { _tag: "Unversioned" }
  if (version.value > current) return { _tag: "Newer", file }
  const upgraded = migrations.slice(version.value - 1).reduce((older, migrate) => migrate(older, now), file)
  return { _tag: "Current", file: { ...upgraded, version: current } }
}

/**
 * The same for the extra fields of a token, whose shape is the provider's: how many of its migrations they have gone
 * through. Extras of a provider without any are version 0, and so are those of one that is not known any more.
 */
export const upgradeExtras = (
  extras: typeof Extras.Encoded,
  version: number,
  migrations: ReadonlyArray<ExtrasMigration>,
): { readonly isNewer: boolean; readonly extras: typeof Extras.Encoded } =>
  version > migrations.length
    ? { isNewer: true, extras }
    : { isNewer: false, extras: migrations.slice(version).reduce((older, migrate) => migrate(older), extras) }
