/**
 * `helper kube`: an exec plugin of kubectl and other clients of Kubernetes. It asks nobody anything, whatever
 * `interactive` says. Where the cluster is said, it must be bound to the account.
 */
import { Config, Console, Effect, Option, Result } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { SecureRandom } from "effect/crypto"
import type { AccountKey } from "../../domain/AccountKey.ts"
import { printable } from "../../domain/RemoteText.ts"
import * as Kube from "../../helpers/Kube.ts"
import * as Shell from "../../helpers/Shell.ts"
import { account } from "../AccountArgument.ts"
import { yes } from "../Confirm.ts"
import { print } from "../Handouts.ts"
import { ThisProgram } from "../ThisProgram.ts"
import { UsageError } from "../UsageError.ts"
import * as Arguments from "./Arguments.ts"
import * as Change from "./Change.ts"

export const kube = Command.make(
  "kube",
  {
    account: account.pipe(Argument.withDescription("The account whose token it is")),
    hosts: Arguments.hosts,
    user: Flag.String("user").pipe(
      Flag.withDescription("What the user is called in the kubeconfig; by default as the account"),
      Flag.optional,
    ),
    install: Arguments.install,
    uninstall: Arguments.uninstall,
    yes,
  },
  Effect.fn("helper.kube")(function* ({ account, hosts, ...input }) {
    const user = Option.getOrElse(input.user, () => account.toString())
    if (input.install) return yield* install(account, user, hosts, input.yes)
    if (input.uninstall) return yield* uninstall(account, user, hosts, input.yes)
    const asked = Kube.parse(yield* info)
    if (asked._tag === "Refused") return yield* new UsageError({ detail: asked.why })
    if (asked.cluster === undefined && hosts.length > 0) {
      return yield* new UsageError({
        detail:
          "Which cluster asks is not said, so it cannot be told whether it is one of --host. Set provideClusterInfo to true in the exec of this user in the kubeconfig.",
      })
    }
    if (asked.cluster !== undefined) {
      const { host } = asked.cluster
      const typed = { account: account.toString(), hosts }
      const binding = host === undefined ? undefined : yield* Arguments.bindingFor(typed, host)
      if (binding === undefined) {
        return yield* new UsageError({
          detail: `The cluster ${host ?? "that asks"} gets no token of ${printable(account.toString())}: its host is not bound to it. Bind it with: ${Shell.command(["tokenkeep", "helper", "kube", account.toString(), "--install", "--host", host ?? "HOST"])}`,
        })
      }
    }
    yield* print(Kube.answer(asked, yield* Arguments.handout(account.toString())))
  }, Effect.provide(SecureRandom.layerWebCrypto)),
).pipe(
  Command.withDescription("Answer kubectl's questions for credentials"),
  Command.withExamples([{ command: "tokenkeep helper kube example --host k8s.example:6443 --install" }]),
)

/** What kubectl says of itself; what is no JSON is refused as what asks for nothing that is known. */
const info = Effect.gen(function* () {
  const text = yield* Config.option(Config.NonEmptyString("KUBERNETES_EXEC_INFO"))
  if (Option.isNone(text)) return undefined
  return Result.getOrElse(
    Result.try((): unknown => JSON.parse(text.value)),
    () => null,
  )
})

const execOf = (account: AccountKey) => ["helper", "kube", account.toString()]

/** How the kubeconfig says it, for a person to paste. JSON is YAML. */
const yaml = (user: string, [command = "", ...args]: ReadonlyArray<string>) =>
  JSON.stringify(
    {
      users: [
        {
          name: user,
          user: {
            exec: {
              apiVersion: Kube.apiVersions[0],
              command,
              args,
              interactiveMode: "Never",
              provideClusterInfo: true,
            },
          },
        },
      ],
    },
    undefined,
    2,
  )

/** The kubeconfig, as a template of kubectl puts it. */
const view = (template: string) => Change.ask("kubectl", ["config", "view", "--output", `jsonpath=${template}`])

/** The words of a user's exec: `undefined` if there is no such user, an empty one if it has another login; none if kubectl cannot tell. */
const wordsOf = Effect.fnUntraced(function* (user: string) {
  const names = yield* view("{range .users[*]}{.name}{end}")
  // To choose among no users is an error of kubectl's.
  if (Option.isNone(names) || names.value === "") return Option.map(names, () => undefined)
  const said = yield* view(
    `{range .users[?(@.name==${JSON.stringify(user)})]}{.user.exec.command}{"\\n"}{range .user.exec.args[*]}{@}{"\\n"}{end}{end}`,
  )
  return Option.map(said, (text) => (text === "" ? undefined : text.split("\n").slice(0, -1)))
})

const isOurs = (account: AccountKey, words: ReadonlyArray<string>) =>
  words.slice(-3).join("\n") === execOf(account).join("\n")

const noKubectl = new Change.NotChanged({
  detail: "kubectl is not there, or cannot read its configuration. Nothing was changed.",
})

const install = Effect.fnUntraced(function* (
  account: AccountKey,
  user: string,
  hosts: ReadonlyArray<string>,
  yes: boolean,
) {
  const [program = "", ...before] = yield* ThisProgram
  const args = [...before, ...execOf(account)]
  const meant = yield* Change.meant(account, hosts)
  if (meant.length === 0) {
    return yield* new UsageError({ detail: "Name the host of the cluster, like --host k8s.example:6443." })
  }
  const words = yield* wordsOf(user)
  if (Option.isNone(words)) {
    yield* Console.log(yaml(user, [program, ...args]))
    return yield* new Change.NotChanged({
      detail: `kubectl is not there, or cannot read its configuration. Nothing was changed; put the user that was printed into the kubeconfig, and bind the host with "hosts" in config.json.`,
    })
  }
  if (words.value !== undefined && !isOurs(account, words.value)) {
    return yield* new Change.NotChanged({
      detail: `The kubeconfig has a user ${printable(user)} already, with a login of its own. Nothing was changed; name another one with --user.`,
    })
  }
  const set = Change.run("kubectl", [
    "config",
    "set-credentials",
    user,
    `--exec-api-version=${Kube.apiVersions[0]}`,
    `--exec-command=${program}`,
    ...args.map((word) => `--exec-arg=${word}`),
    "--exec-interactive-mode=Never",
    "--exec-provide-cluster-info=true",
  ])
  yield* Change.carryOut([...(yield* Change.bind(account, meant)), ...(words.value === undefined ? [set] : [])], {
    yes,
    none: `kubectl asks tokenkeep for ${printable(user)} already.`,
    startsUs: true,
    done: `The user ${printable(user)} has its token from tokenkeep from now on. Have a context use it with: ${Shell.command(["kubectl", "config", "set-context", "CONTEXT", `--user=${user}`])}. Take that back with: ${Shell.command(["tokenkeep", ...execOf(account), ...(user === account.toString() ? [] : ["--user", user]), ...meant.flatMap((host) => ["--host", host]), "--uninstall"])}`,
  })
})

const uninstall = Effect.fnUntraced(function* (
  account: AccountKey,
  user: string,
  hosts: ReadonlyArray<string>,
  yes: boolean,
) {
  const words = yield* wordsOf(user)
  if (Option.isNone(words)) return yield* noKubectl
  const isThere = words.value !== undefined && isOurs(account, words.value)
  const steps = isThere ? [Change.run("kubectl", ["config", "delete-user", user])] : []
  // Of the others that are bound to the account it is not known whether they are clusters.
  const meant = hosts.length === 0 ? [] : yield* Change.meant(account, hosts)
  yield* Change.carryOut([...steps, ...(yield* Change.unbind(account, meant))], {
    yes,
    none: Change.nothingToTakeBack,
    done: `kubectl no longer asks tokenkeep for ${printable(user)}.`,
  })
})
