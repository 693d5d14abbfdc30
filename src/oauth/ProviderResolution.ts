/**
 * One provider, out of what is known of it and what the configuration says: the configuration wins, field by field.
 */
import { Option, Predicate, Result, Schema, SchemaIssue } from "effect"
import type { Dialect } from "./Dialect.ts"
import type { ProviderDefinition } from "./Provider.ts"
import { ProviderRecord } from "./ProviderRecord.ts"

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

type Known = ProviderDefinition["record"]

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
  leafHook: (issue) => {
    if (issue._tag === "UnexpectedKey") return "there is no such field"
    return issue._tag === "MissingKey" ? "it is missing" : SchemaIssue.defaultLeafHook(issue)
  },
})

/** What does not fit a schema, and where. */
export const mistakesIn = ({ issue }: Schema.SchemaError): ReadonlyArray<string> =>
  format(issue)
    .issues.slice(0, 3)
    .map(({ message, path = [] }) => [path.map(String).join("."), message].filter((text) => text !== "").join(": "))

const originOf = (url: string | undefined): string | undefined =>
  url === undefined ? undefined : (URL.parse(url)?.origin ?? undefined)

/**
 * What is known, for a login at this server. If the configuration moves it to another one, nothing goes to the old one any
 * more: neither a person nor a token. Of third servers there stay those that are shown none of its secrets: the page for
 * people, and the hosts of the API.
 */
const at = (known: Known, said: { readonly [name: string]: unknown }): Known => {
  const { api, endpoints, ...rest } = known
  const here = originOf(endpoints?.token)
  if (endpoints === undefined || here === undefined) return known
  const { endpoints: own, issuer } = said
  const token = Predicate.isObject(own) ? Reflect.get(own, "token") : undefined
  const isAnother = (url: unknown) => typeof url !== "string" || originOf(url) !== here
  const isElsewhere =
    typeof token === "string" ? isAnother(token) : "issuer" in said && (own === undefined || isAnother(issuer))
  if (!isElsewhere) return known
  const page = endpoints.authorization
  const { baseUrl, ...use } = api ?? {}
  const apiThere = { ...use, ...(baseUrl !== undefined && originOf(baseUrl) !== here && { baseUrl }) }
  return {
    ...rest,
    ...(api !== undefined && { api: apiThere }),
    ...(typeof token === "string" && {
      endpoints: { token, ...(page !== undefined && isAnother(page) && { authorization: page }) },
    }),
  }
}

/** Which definition a provider is built on; `said` is what the configuration has under its name, if anything. */
export const definitionOf = (
  name: string,
  said: Schema.Json | undefined,
  definitions: ReadonlyArray<ProviderDefinition>,
): Option.Option<ProviderDefinition> => {
  const base = Predicate.isObject(said) && "extends" in said ? said["extends"] : name
  return Option.fromUndefinedOr(definitions.find((known) => known.name === base))
}

/** What is known and what the configuration says, before it is known whether that is a record; none if there is no such base. */
export const combine = (
  name: string,
  { extends: base = name, ...own }: { readonly [name: string]: unknown },
  definitions: ReadonlyArray<ProviderDefinition>,
): Option.Option<{ readonly record: { readonly [name: string]: unknown }; readonly base?: ProviderDefinition }> => {
  const definition = definitions.find((known) => known.name === base)
  if (definition !== undefined) return Option.some({ record: merge(at(definition.record, own), own), base: definition })
  return base === name ? Option.some({ record: own }) : Option.none()
}

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
  const combined = combine(name, configured.value, definitions)
  if (Option.isNone(combined)) {
    return { _tag: "Malformed", mistakes: ["extends: nothing that is built in, and no plugin, has this name"] }
  }
  const { base, record: fields } = combined.value
  if (base === undefined && said === undefined) return { _tag: "Unknown" }
  const record = decode(fields)
  if (Result.isSuccess(record)) {
    return {
      _tag: "Resolved",
      resolved: { record: record.success, ...(base?.dialect !== undefined && { dialect: base.dialect }) },
    }
  }
  const missing = required.filter((field) => !(field in fields))
  const isWithoutAddress = !("issuer" in fields) && !("endpoints" in fields)
  // Whoever has said something sees what is wrong with it: a field that is missing may be there, spelled wrong.
  if (said !== undefined || (missing.length === 0 && !isWithoutAddress)) {
    return { _tag: "Malformed", mistakes: mistakesIn(record.failure) }
  }
  return { _tag: "Incomplete", missing: isWithoutAddress ? [...missing, "issuer"] : missing }
}
