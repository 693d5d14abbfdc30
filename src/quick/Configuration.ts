/**
 * What the configuration file has to say about a token that is there already: mostly nothing. Where it may have something
 * to say, or cannot be read, that is left to the whole program.
 */
import { readFileSync, statSync } from "node:fs"
import { flowTypes } from "../domain/RecordWords.ts"
import { reservedFields } from "../domain/ReservedFields.ts"
import { isSecure } from "../oauth/SecureAddress.ts"
import { isMaybe, isName, isObject, isText, isTexts, type JsonObject } from "./Json.ts"

/** The file as JSON; an empty object if there is none. Throws if it cannot be read, as a pipe that would be waited for. */
export const read = (path: string): unknown => {
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return {}
  if (!stats.isFile()) throw new Error("no file")
  return JSON.parse(readFileSync(path, "utf8"))
}

/** Whether nothing in it has to be loaded: neither plugins, nor what cannot be understood here. */
export const isWithoutPlugins = (config: unknown): config is JsonObject => {
  if (!isObject(config)) return false
  const { providers } = config
  return Array.isArray(providers)
    ? providers.every((entry) => isObject(entry) && isName(entry["name"]))
    : isMaybe(providers, isObject)
}

/** Whether no command is run for tokens that are asked for. */
export const isSilent = ({ onEvent }: JsonObject): boolean =>
  onEvent === undefined || (isTexts(onEvent) && onEvent.length > 0)

/**
 * What the built-in providers leave to be said. With these said, and everything that is said as it should be, a record is
 * complete.
 */
export const missing: { readonly [name: string]: ReadonlyArray<string> } = {
  anthropic: [],
  codex: [],
  copilot: [],
  gemini: [],
  github: ["clientId"],
  gitlab: ["clientId", "scopes"],
  google: ["clientId", "scopes"],
  microsoft: ["clientId"],
  oidc: ["issuer", "clientId"],
  qwen: [],
}

const required = ["clientId", "scopes", "flows"]

const flows = new Set<string>(flowTypes)

const isUrl = (value: unknown): boolean => {
  const url = typeof value === "string" ? URL.parse(value) : null
  return url !== null && isSecure(url)
}

const isUrls = (value: unknown): boolean => Array.isArray(value) && value.every(isUrl)

const isSecret = (value: unknown): boolean =>
  isObject(value) && Object.keys(value).length === 1 && (isText(value["env"]) || isText(value["file"]))

const endpoints = new Set(["authorization", "token", "deviceAuthorization", "revocation"])

const isEndpoints = (value: unknown): boolean =>
  isObject(value) &&
  isUrl(value["token"]) &&
  Object.entries(value).every(([name, url]) => endpoints.has(name) && isUrl(url))

const fields: { readonly [name: string]: (value: unknown) => boolean } = {
  issuer: isUrl,
  endpoints: isEndpoints,
  clientId: isText,
  clientSecret: isSecret,
  clientAuthentication: (value) => value === "basic" || value === "post",
  scopes: isTexts,
  flows: (value) => isTexts(value) && value.length > 0 && value.every((flow) => flows.has(flow)),
  redirectUris: isUrls,
  publicFields: (value) => isTexts(value) && !value.some((name) => reservedFields.includes(name)),
}

/** Whether what is said of a provider is a complete record for sure; nobody is warned of it then. */
const isComplete = (name: string, said: unknown): boolean => {
  if (!isObject(said)) return false
  const { extends: base = name, ...own } = said
  const isPlain = Object.entries(own).every(
    ([field, value]) => Object.hasOwn(fields, field) && fields[field]?.(value) === true,
  )
  if (!isPlain) return false
  const isKnown = typeof base === "string" && Object.hasOwn(missing, base)
  if (!isKnown && base !== name) return false
  const lacking = (isKnown ? missing[base] : undefined) ?? required
  const hasAddress = isKnown || "issuer" in own || "endpoints" in own
  return hasAddress && lacking.every((field) => field in own)
}

/** What the file says of a provider; the last, as it counts, where it is said more than once. */
const saidOf = ({ providers }: JsonObject, name: string): unknown => {
  if (Array.isArray(providers)) {
    const found: unknown = providers.findLast((entry) => isObject(entry) && entry["name"] === name)
    if (!isObject(found)) return undefined
    const { name: _, ...said } = found
    return said
  }
  return isObject(providers) && Object.hasOwn(providers, name) ? providers[name] : undefined
}

/** Whether a token of the provider is handed out without a word. */
export const isSilentOn = (config: JsonObject, provider: string): boolean => {
  const said = saidOf(config, provider)
  return said === undefined || isComplete(provider, said)
}
