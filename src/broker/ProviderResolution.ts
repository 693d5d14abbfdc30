/**
 * One provider, out of what is known of it and what the configuration says: the configuration wins, field by field.
 */
import { Option, Predicate, Result, Schema, SchemaIssue } from "effect"
import type { Dialect } from "../oauth/Dialect.ts"
import type { ProviderDefinition } from "../oauth/Provider.ts"
import { ProviderRecord } from "../oauth/ProviderRecord.ts"

/** A record, and the functions that go with it. */
export interface Resolved {
  readonly record: ProviderRecord
  readonly dialect?: Dialect
}

export type Resolution =
  | { readonly _tag: "Resolved"; readonly resolved: Resolved }
  /** Neither known nor configured. */
  | { readonly _tag: "Unknown" }
  /** It is known, and the configuration has to say more. */
  | { readonly _tag: "Incomplete"; readonly missing: ReadonlyArray<string> }
  /** What the configuration says cannot be understood: where, and what is expected there. */
  | { readonly _tag: "Malformed"; readonly mistakes: ReadonlyArray<string> }

/** What of a record must be said by somebody. */
const required = ["clientId", "scopes", "flows"] as const

/** The fields that are not replaced as a whole, but each part of them by itself. */
const composed = ["endpoints", "api", "bodies", "device", "headers", "authorizationParameters"] as const

// A field that nobody knows is a field that is spelled wrong.
const decode = Schema.decodeUnknownResult(ProviderRecord, { onExcessProperty: "error", errors: "all" })
const decodeObject = Schema.decodeUnknownOption(Schema.JsonObject)

const merge = (known: { readonly [name: string]: unknown }, said: { readonly [name: string]: unknown }) => {
  const parts = composed.flatMap((field) => {
    const [one, other] = [known[field], said[field]]
    return Predicate.isObject(one) && Predicate.isObject(other) ? [[field, { ...one, ...other }]] : []
  })
  return { ...known, ...said, ...Object.fromEntries(parts) }
}

/** Says what is expected, never what is there: that may be a secret in the wrong place. */
const format = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: (issue) => (issue._tag === "UnexpectedKey" ? "there is no such field" : SchemaIssue.defaultLeafHook(issue)),
})

/** What does not fit a schema, and where. */
export const mistakesIn = ({ issue }: Schema.SchemaError): ReadonlyArray<string> =>
  format(issue)
    .issues.slice(0, 3)
    .map(({ message, path = [] }) => [path.map(String).join("."), message].filter((text) => text !== "").join(": "))

/**
 * Resolves a name. `said` is what the configuration has under it, if anything; its `extends` names another definition to
 * build on than that of the same name.
 */
export const resolve = (
  name: string,
  said: Schema.Json | undefined,
  definitions: ReadonlyArray<ProviderDefinition>,
): Resolution => {
  const configured = decodeObject(said ?? {})
  if (Option.isNone(configured)) return { _tag: "Malformed", mistakes: ["it is no object"] }
  const { extends: base = name, ...own } = configured.value
  const definition = definitions.find((known) => known.name === base)
  if (definition === undefined && said === undefined) return { _tag: "Unknown" }
  if (definition === undefined && base !== name) {
    return { _tag: "Malformed", mistakes: ["extends: there is nothing of this name to build on"] }
  }
  const whole = definition === undefined ? own : merge(definition.record, own)
  const record = decode(whole)
  if (Result.isSuccess(record)) {
    return {
      _tag: "Resolved",
      resolved: { record: record.success, ...(definition?.dialect !== undefined && { dialect: definition.dialect }) },
    }
  }
  const missing = required.filter((field) => !(field in whole))
  const isWithoutAddress = !("issuer" in whole) && !("endpoints" in whole)
  if (definition === undefined || (missing.length === 0 && !isWithoutAddress)) {
    return { _tag: "Malformed", mistakes: mistakesIn(record.failure) }
  }
  return { _tag: "Incomplete", missing: isWithoutAddress ? [...missing, "issuer"] : missing }
}
