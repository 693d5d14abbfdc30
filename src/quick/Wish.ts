/**
 * What is asked for on the command line, where it is a token and nothing else. All other things, and whatever is written in
 * an unusual way, are for the whole program to understand.
 */
import { canonical, split, textOf } from "../domain/AccountText.ts"
import { millisecondsIn } from "../domain/LifetimeText.ts"
import * as ApiKey from "../helpers/ApiKey.ts"
import * as Docker from "../helpers/Docker.ts"
import * as Git from "../helpers/Git.ts"
import type { Answer, Handout } from "../helpers/Handout.ts"
import * as HostBinding from "../helpers/HostBinding.ts"
import * as Kube from "../helpers/Kube.ts"
import { isVariable } from "../helpers/Shell.ts"
import * as TokenFormat from "../helpers/TokenFormat.ts"
import { isName } from "./Json.ts"
import type { Environment } from "./Places.ts"
import * as Words from "./Words.ts"

export interface Wish {
  readonly provider: string
  readonly bucket: string
  /** How long the token has to be good, in milliseconds, if that was said. */
  readonly minimumValidity?: number | undefined
  /** Whether the token's public fields are part of the answer. */
  readonly isOfAll?: boolean
  readonly answer: (handout: Handout) => Answer
}

/** What was typed, before it is known who asks, and where the token is to go. */
export interface Request {
  /** Whether what is on stdin has to be known. */
  readonly isRead: boolean
  /** The wish; or that there is nothing to say. Undefined, or an exception, where it is for the whole program. */
  readonly wish: (hosts: HostBinding.Hosts, stdin: string) => Wish | "nothing" | undefined
}

/** The account, if that is what it is for sure. */
const accountOf = (text: string | undefined) => {
  if (text === undefined || !/^[\x21-\x7e]{1,400}$/.test(text) || /^-|[*%]/.test(text)) return undefined
  const account = split(canonical(text))
  return isName(account.provider) && isName(account.bucket) ? account : undefined
}

const known = (wish: Wish): Request => ({ isRead: false, wish: () => wish })

const tokenOf = (args: ReadonlyArray<string>): Request | undefined => {
  const words = Words.parse(args, ["format", "env", "min-ttl"], ["json"])
  if (words === undefined || words.others.length > 1) return undefined
  const account = accountOf(words.others[0])
  const [format, variable, minTtl] = ["format", "env", "min-ttl"].map((name) => words.values.get(name))
  if (account === undefined || [format, variable, minTtl].some((said) => said !== undefined && said.length > 1)) {
    return undefined
  }
  const [named] = variable ?? []
  if (named !== undefined && !isVariable(named)) return undefined
  const chosen = format?.[0] ?? (named === undefined ? "raw" : "env")
  const minimumValidity = minTtl?.[0] === undefined ? undefined : millisecondsIn(minTtl[0])
  if (!TokenFormat.isFormat(chosen) || (minTtl !== undefined && minimumValidity === undefined)) return undefined
  const shape = words.flags.has("json") ? "json" : chosen
  const text = textOf(account.provider, account.bucket)
  return known({
    ...account,
    minimumValidity,
    isOfAll: shape === "json",
    answer: (handout) => TokenFormat.answer(shape, text, handout, named),
  })
}

const apiKeyOf = (args: ReadonlyArray<string>): Request | undefined => {
  const [text, ...more] = args
  const account = accountOf(text)
  if (account === undefined || more.length > 0) return undefined
  return known({ ...account, answer: ({ accessToken }) => ApiKey.answer(accessToken) })
}

/** The hosts that were typed; undefined if one of them is none. */
const hostsIn = ({ values }: Words.Words): ReadonlyArray<string> | undefined => {
  const hosts = values.get("host") ?? []
  return hosts.every((host) => HostBinding.hostOf(host) !== undefined) ? hosts : undefined
}

const kubeOf = (args: ReadonlyArray<string>, env: Environment): Request | undefined => {
  const words = Words.parse(args, ["host"], [])
  if (words === undefined || words.others.length > 1) return undefined
  const account = accountOf(words.others[0])
  const typed = hostsIn(words)
  if (account === undefined || typed === undefined) return undefined
  return {
    isRead: false,
    wish: (hosts) => {
      const info = env["KUBERNETES_EXEC_INFO"] ?? ""
      const asked = Kube.parse(info === "" ? undefined : JSON.parse(info))
      if (asked._tag === "Refused") return undefined
      if (asked.cluster === undefined && typed.length > 0) return undefined
      if (asked.cluster !== undefined) {
        const { host } = asked.cluster
        const text = textOf(account.provider, account.bucket)
        const isBound =
          host !== undefined && HostBinding.bindingFor(hosts, { account: text, hosts: typed }, host) !== undefined
        if (!isBound) return undefined
      }
      return { ...account, answer: (handout) => Kube.answer(asked, handout) }
    },
  }
}

/** What a tool is to be told that writes what it wants behind what was configured. */
const typedIn = (args: ReadonlyArray<string>) => {
  const words = Words.parse(args, ["host", "username"], [])
  if (words === undefined || words.others.length === 0 || words.others.length > 2) return undefined
  const hosts = hostsIn(words)
  const [username, ...more] = words.values.get("username") ?? []
  if (hosts === undefined || more.length > 0) return undefined
  if (username !== undefined && !HostBinding.isUserName(username)) return undefined
  const account = words.others.length === 2 ? words.others[0] : undefined
  return { action: words.others.at(-1), typed: { account, hosts, username } }
}

const gitOf = (args: ReadonlyArray<string>): Request | undefined => {
  const { action, typed } = typedIn(args) ?? {}
  // Of an account that is called as an action is, it is for the whole program to say what is meant.
  if (typed === undefined || action !== "get" || Git.isAction(typed.account ?? "")) return undefined
  return {
    isRead: true,
    wish: (hosts, stdin) => {
      const request = Git.parse(stdin)
      if (request._tag === "Nothing") return request.why === undefined ? "nothing" : undefined
      const binding = HostBinding.bindingFor(hosts, typed, request.host)
      if (binding === undefined) return "nothing"
      const account = accountOf(binding.account)
      return account && { ...account, answer: (handout) => Git.answer(request, binding, handout) }
    },
  }
}

const dockerOf = (args: ReadonlyArray<string>): Request | undefined => {
  const { action, typed } = typedIn(args) ?? {}
  if (typed === undefined || action !== "get" || Docker.isAction(typed.account ?? "")) return undefined
  return {
    isRead: true,
    wish: (hosts, stdin) => {
      const registry = Docker.isEmpty(stdin) ? undefined : Docker.parse(stdin)
      const binding = registry && HostBinding.bindingFor(hosts, typed, registry.host)
      if (registry === undefined || binding === undefined) return undefined
      const account = accountOf(binding.account)
      return account && { ...account, answer: (handout) => Docker.answer(registry, binding, handout) }
    },
  }
}

const helpers: {
  readonly [name: string]: (args: ReadonlyArray<string>, env: Environment) => Request | undefined
} = { "api-key": apiKeyOf, docker: dockerOf, git: gitOf, kube: kubeOf }

/** What these arguments ask for, if it is a token. */
export const of = ([command, ...rest]: ReadonlyArray<string>, env: Environment): Request | undefined => {
  if (command === "token") return tokenOf(rest)
  const [name = "", ...args] = rest
  return command === "helper" && Object.hasOwn(helpers, name) ? helpers[name]?.(args, env) : undefined
}
