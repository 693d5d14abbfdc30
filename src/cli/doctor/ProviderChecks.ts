/**
 * The providers: whether their records can be used, and whether they can be reached; and what their clocks say of ours.
 */
import { Clock, Duration, Effect, Option } from "effect"
import { Providers } from "../../broker/Providers.ts"
import * as Account from "../../domain/AccountKey.ts"
import type { ConfigCorrupt, ProviderNotConfigured } from "../../domain/Errors.ts"
import { completeCommand, loginCommand, showCommand } from "../../domain/LoginCommand.ts"
import { oneLine, printable } from "../../domain/RemoteText.ts"
import type { Guard } from "../../oauth/Guard.ts"
import { type Answer, type FetchFailure, ProviderFetch } from "../../oauth/ProviderFetch.ts"
import type { ProviderRecord } from "../../oauth/ProviderRecord.ts"
import { load } from "../plugins/PluginLoading.ts"
import { quoted, withoutCommand } from "../NextCommand.ts"
import { type Finding, ok, orOk, problem, skipped, warning } from "./Finding.ts"
import { clockCommand } from "./MachineChecks.ts"

/** Plugins that were refused. */
export const plugins = Effect.fnUntraced(function* (commands: ReadonlyArray<string>) {
  // That the configuration cannot be read is said where the files are.
  const loaded = yield* Effect.option(load(commands))
  if (Option.isNone(loaded)) return []
  const found = loaded.value.refused.map(({ message, why }) =>
    problem("plugins", message, /mend that with: (chmod go-w .+)$/.exec(why)?.[1]),
  )
  return found.length > 0 || loaded.value.plugins.length === 0
    ? found
    : [ok("plugins", `${loaded.value.plugins.length}, all loaded`)]
})

interface Named {
  readonly name: string
  readonly record: ProviderRecord
  /** How far it may lead, if a server has said itself where it is. */
  readonly guard?: Guard
}

/** What to type about a record that cannot be used. */
const mendingOf = (name: string, error: ConfigCorrupt | ProviderNotConfigured) => {
  // To add it anew takes all of it, which is in the file; and it is there that it is mended.
  if (error._tag === "ConfigCorrupt") return { message: error.message, command: undefined }
  if (error.missing !== undefined) return { message: error.message, command: completeCommand(name, error.missing) }
  return Account.isAddress(name)
    ? {
        message: `Where the login of ${printable(name)} is, is not known any more; a login finds it anew.`,
        command: loginCommand(Account.make(name)),
      }
    : {
        message: `No provider is called ${printable(name)} any more.`,
        command: completeCommand(name, ["issuer", "clientId", "flows"]),
      }
}

/** What the configuration says of each, and what of that cannot be used. `inUse` have logins here. */
export const records = Effect.fnUntraced(function* (inUse: ReadonlyArray<string>) {
  const providers = yield* Providers
  const all = yield* Effect.option(providers.list)
  const listed = Option.getOrElse(all, (): ReadonlyArray<string> => [])
  const found: Array<Finding> = []
  const good: Array<Named> = []
  for (const name of new Set([...listed, ...inUse])) {
    const isUsed = inUse.includes(name)
    const read = yield* Effect.result(providers.record(name))
    if (read._tag === "Failure") {
      const error = read.failure
      // That a file is damaged is said where the files are.
      if (error._tag === "StoreCorrupt" || error._tag === "StoreNewer" || error._tag === "StoreUnavailable") continue
      if (error._tag === "ConfigCorrupt" && error.provider === undefined) continue
      const level = isUsed || error._tag === "ConfigCorrupt" ? problem : warning
      const safe = isUsed ? " Its logins are safe, and cannot be refreshed until then." : ""
      const { command, message } = mendingOf(name, error)
      found.push(level("providers", `${withoutCommand(message, command)}${safe}`, command))
      continue
    }
    const secret = yield* Effect.result(providers.get(name))
    const guard = secret._tag === "Success" ? secret.success.guard : undefined
    good.push({ name, record: read.success, ...(guard !== undefined && { guard }) })
    if (secret._tag === "Success" || secret.failure._tag !== "SecretUnavailable") continue
    const { clientSecret } = read.success
    const command =
      clientSecret === undefined
        ? undefined
        : "env" in clientSecret
          ? /^[A-Z_][A-Z0-9_]*$/.test(clientSecret.env)
            ? `export ${clientSecret.env}=SECRET`
            : showCommand(name)
          : `install -m 600 /dev/stdin ${quoted(clientSecret.file)}`
    found.push((isUsed ? problem : warning)("providers", secret.failure.message, command))
  }
  const count = good.length
  // That the configuration is damaged is said where the files are.
  if (Option.isNone(all)) found.push(skipped("providers", "not known while the configuration cannot be read"))
  return {
    findings: orOk(found, "providers", count === 0 ? "none is configured" : `${count}, all usable`),
    records: good,
  }
})

const patience = Duration.seconds(5)

/** Providers that are asked at a time. */
const atATime = 8

interface Place {
  readonly names: ReadonlyArray<string>
  readonly host: string
  /** Asked in this order, until one is there. */
  readonly urls: ReadonlyArray<string>
  readonly isMetadata: boolean
  readonly guard?: Guard
}

const wellKnown = (issuer: string): ReadonlyArray<string> => {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, "")
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ]
}

/** Where a provider can be asked for nothing: the address of its tokens without any form, or its metadata. */
const placeOf = ({ guard, name, record }: Named): Option.Option<Place> => {
  const { endpoints, issuer } = record
  const url = endpoints?.token ?? issuer
  if (url === undefined) return Option.none()
  return Option.some({
    names: [name],
    host: new URL(url).host,
    urls: endpoints === undefined ? wellKnown(url) : [url],
    isMetadata: endpoints === undefined,
    ...(guard !== undefined && { guard }),
  })
}

/** Each address once, whoever is there. */
const places = (records: ReadonlyArray<Named>): ReadonlyArray<Place> => {
  const byUrl = new Map<string, Place>()
  for (const place of records.flatMap((record) => Option.toArray(placeOf(record)))) {
    const key = place.urls.join(" ")
    const known = byUrl.get(key)
    byUrl.set(key, known === undefined ? place : { ...known, names: [...known.names, ...place.names] })
  }
  return [...byUrl.values()]
}

interface Reached {
  readonly finding: Option.Option<Finding>
  /** How far its clock is ahead of ours, in seconds. */
  readonly ahead: Option.Option<number>
  readonly host: string
  /** Whether not even its name was found. */
  readonly isUnknown: boolean
}

/** How far a clock is ahead of ours: what it said in the middle of the request, to the second. */
const aheadOf = ({ headers }: Answer, from: number, to: number): Option.Option<number> => {
  const said = Date.parse(headers.get("date") ?? "")
  // A cache answers with the time of when it asked itself.
  const age = Number(headers.get("age") ?? "0")
  if (Number.isNaN(said) || !Number.isFinite(age)) return Option.none()
  return Option.some((said + age * 1000 + 500 - (from + to) / 2) / 1000)
}

const why = ({ code = "", what }: FetchFailure, host: string): string => {
  if (what === "timeout") return `${host} did not answer within 5 s`
  if (what === "not-public")
    return `${host} is no public address, and may not be asked for a server that was found by itself`
  if (isNameUnknown({ code })) return `the name ${host} leads nowhere (DNS, ${code})`
  if (code === "ECONNREFUSED") return `nobody listens at ${host}`
  if (/TLS|SSL|CERT/.test(code)) return `the certificate of ${host} is not one to trust (TLS, ${code})`
  return `${host} could not be reached${code === "" ? "" : ` (${printable(code)})`}`
}

const isNameUnknown = ({ code = "" }: Pick<FetchFailure, "code">): boolean => /^(ENOTFOUND|EAI_)/.test(code)

const isCertificate = ({ code = "" }: FetchFailure): boolean =>
  /SELF_SIGNED|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY/.test(code)

const reach = Effect.fnUntraced(function* (place: Place): Effect.fn.Return<Reached, never, ProviderFetch> {
  const { send } = yield* ProviderFetch
  const { guard, host, isMetadata, names, urls } = place
  const who = names.map(printable).join(", ")
  const [name = ""] = names
  let ahead = Option.none<number>()
  let status = 0
  for (const url of urls) {
    const from = yield* Clock.currentTimeMillis
    const answer = yield* send(url, { method: "GET", headers: { accept: "application/json" } }, guard).pipe(
      Effect.result,
    )
    if (answer._tag === "Failure") {
      const message = `${who}: ${why(answer.failure, oneLine(host))}. Logins are safe, and tokens are handed out while they are good.`
      const command = isCertificate(answer.failure) ? "export NODE_EXTRA_CA_CERTS=/path/to/ca.pem" : showCommand(name)
      return {
        finding: Option.some(problem("network", message, command)),
        ahead,
        host,
        isUnknown: isNameUnknown(answer.failure),
      }
    }
    ahead = aheadOf(answer.success, from, yield* Clock.currentTimeMillis)
    ;({ status } = answer.success)
    if (status === 200 || status >= 500) break
  }
  if (status >= 500 || status === 429) {
    const message = `${who}: ${oneLine(host)} has trouble of its own (HTTP ${status}). Logins are safe; try again later.`
    return { finding: Option.some(warning("network", message)), ahead, host, isUnknown: false }
  }
  if (isMetadata && status !== 200) {
    const message = `${who}: ${oneLine(host)} answers, and has no metadata where the issuer of the record should have it (HTTP ${status}). Logins are safe, and cannot be refreshed; correct the issuer, seen with:`
    return { finding: Option.some(problem("network", message, showCommand(name))), ahead, host, isUnknown: false }
  }
  return { finding: Option.none(), ahead, host, isUnknown: false }
})

/** More than this, and tokens are taken for fresh that are not, or for stale. */
const mostSkew = 30
/** More than this, and providers refuse what we sign, or what they have signed looks not yet good. */
const gravestSkew = 300

const inTime = (seconds: number): string => {
  const whole = Math.round(Math.abs(seconds))
  return whole < 120 ? `${whole} s` : `${Math.round(whole / 60)} min`
}

/** If all clocks differ from ours, it is ours that is wrong; if some do, it is theirs. */
const skew = Effect.fnUntraced(function* (reached: ReadonlyArray<Reached>) {
  const clocks = reached.flatMap(({ ahead, host }) => (Option.isSome(ahead) ? [{ host, ahead: ahead.value }] : []))
  const [nearest] = clocks.toSorted((one, other) => Math.abs(one.ahead) - Math.abs(other.ahead))
  if (nearest === undefined) return []
  if (Math.abs(nearest.ahead) > mostSkew) {
    const level = Math.abs(nearest.ahead) > gravestSkew ? problem : warning
    const message = `The clock of this machine is ${inTime(nearest.ahead)} ${nearest.ahead > 0 ? "behind" : "ahead of"} that of ${oneLine(nearest.host)}, so tokens are taken for better, or worse, than they are. Nothing was lost.`
    return [level("skew", message, yield* clockCommand)]
  }
  const off = clocks.filter(({ ahead }) => Math.abs(ahead) > mostSkew)
  return off.length === 0
    ? [
        ok(
          "skew",
          `at most ${inTime(Math.max(...clocks.map(({ ahead }) => Math.abs(ahead))))} from the providers' clocks`,
        ),
      ]
    : off.map(({ ahead, host }) =>
        warning(
          "skew",
          `The clock of ${oneLine(host)} is ${inTime(ahead)} ${ahead > 0 ? "ahead of" : "behind"} ours, and others agree with ours. It is theirs to mend.`,
        ),
      )
})

/** Asks all at once. Nothing is sent to them. */
export const network = Effect.fnUntraced(function* (records: ReadonlyArray<Named>, isOffline: boolean) {
  if (isOffline) return [skipped("network", "not asked: --offline")]
  const all = places(records)
  if (all.length === 0) return [skipped("network", "there is no provider to ask")]
  const reached = yield* Effect.forEach(
    all,
    (place) =>
      reach(place).pipe(
        Effect.timeoutOrElse({
          duration: patience,
          orElse: (): Effect.Effect<Reached> =>
            Effect.succeed({
              finding: Option.some(
                problem(
                  "network",
                  `${place.names.map(printable).join(", ")}: ${oneLine(place.host)} did not answer within 5 s. Logins are safe, and tokens are handed out while they are good.`,
                  showCommand(place.names[0] ?? ""),
                ),
              ),
              ahead: Option.none(),
              host: place.host,
              isUnknown: false,
            }),
        }),
      ),
    { concurrency: atATime },
  )
  if (reached.length > 1 && reached.every(({ isUnknown }) => isUnknown)) {
    const message = `None of the names of ${reached.length} providers leads anywhere (DNS), ${oneLine(reached[0]?.host ?? "")} among them: this machine seems to be offline. Logins are safe, and tokens are handed out while they are good.`
    return [problem("network", message)]
  }
  const found = reached.flatMap(({ finding }) => Option.toArray(finding))
  const hosts = `${all.length === 1 ? "the provider answers" : `all ${all.length} servers of the providers answer`}`
  return [...orOk(found, "network", hosts), ...(yield* skew(reached))]
})
