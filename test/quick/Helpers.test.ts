/**
 * What credential helpers, and `token` in its formats, are told quickly is what the whole program tells them.
 */
import { writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import * as Quick from "../../src/quick/Quick.ts"
import { loggedIn } from "../support/LoggedIn.ts"
import { recordOf, tokenOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"
import * as WholeProgram from "./WholeProgram.ts"

const accounts = ["plain", "odd", "bare", "none", "plain:work", "get"]

const hosts = ["github.com", "git.example:8443", "GitHub.com", "not a host", "k8s.example"]

const word = fc.constantFrom(...accounts, ...hosts, "get", "store", "erase", "raw", "json", "env", "header", "x", "")

const flag = fc.oneof(
  fc
    .tuple(fc.constantFrom("--host", "--format", "--env", "--username", "--min-ttl", "--key", "--user"), word)
    .chain(([name, value]) => fc.constantFrom([name, value], [`${name}=${value}`])),
  fc.constantFrom(
    ["--json"],
    ["--min-ttl", "5m"],
    ["--no-refresh"],
    ["--"],
    ["-x"],
    ["--json", "--json"],
    ["--json=true"],
  ),
)

const command = fc.constantFrom(
  ["token"],
  ["helper", "git"],
  ["helper", "docker"],
  ["helper", "kube"],
  ["helper", "api-key"],
)

const usual = fc.constantFrom(
  ["token", "plain", "--format", "header"],
  ["token", "--format=env", "plain"],
  ["token", "plain", "--env", "TOKEN"],
  ["token", "bare", "--json"],
  ["token", "bare", "--format", "json"],
  ["helper", "git", "get"],
  ["helper", "git", "plain", "get"],
  ["helper", "git", "plain", "--host", "github.com", "--username", "me", "get"],
  ["helper", "docker", "get"],
  ["helper", "docker", "--host", "k8s.example", "plain", "get"],
  ["helper", "kube", "plain"],
  ["helper", "kube", "--host", "k8s.example", "plain"],
  ["helper", "api-key", "plain"],
)

const lines = fc.oneof(
  { weight: 3, arbitrary: usual },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        command,
        fc.array(
          fc.oneof(
            word.map((one) => [one]),
            flag,
          ),
          { maxLength: 4 },
        ),
      )
      .map(([command, words]) => [...command, ...words.flat()]),
  },
)

const stdins = fc.constantFrom(
  "",
  "\n",
  "protocol=https\nhost=github.com\n\n",
  "protocol=https\nhost=github.com\ncapability[]=authtype\npath=x\n\n",
  "protocol=https\nhost=git.example:8443\n",
  "protocol=https\nhost=unbound.example\n\n",
  "protocol=http\nhost=github.com\n\n",
  "protocol=https\nhost=github.com\nhost=k8s.example\n\n",
  "protocol=https\nhost=github.com\u0001\n\n",
  "protocol=https\rhost=github.com\n\n",
  "nonsense",
  "github.com",
  "https://k8s.example/v1/\n",
  "https://ghcr.io",
  "é\ufeff",
)

const configurations = fc.constantFrom<unknown>(
  undefined,
  {},
  { hosts: { "github.com": "plain", "git.example:8443": { account: "odd" }, "k8s.example": "plain" } },
  { hosts: { "github.com": { account: "plain", username: "me" }, "k8s.example": "bare" } },
  { hosts: { "github.com": "plain:default", "k8s.example": "none" } },
  { hosts: { "github.com": "plain", "GitHub.com": "plain" } },
  { hosts: { "github.com": { account: 1 } } },
  { hosts: [] },
  { hosts: { "github.com": "plain" }, onEvent: ["true"] },
  { hosts: { "github.com": "plain" }, onEvent: 1 },
)

const clusterOf = (server: unknown) => ({
  apiVersion: "client.authentication.k8s.io/v1",
  kind: "ExecCredential",
  spec: { interactive: false, cluster: { server } },
})

const infos = fc.constantFrom(
  undefined,
  "",
  "{",
  "{}",
  JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1beta1", kind: "ExecCredential", spec: {} }),
  JSON.stringify(clusterOf("https://k8s.example")),
  JSON.stringify(clusterOf("https://k8s.example:6443/x")),
  JSON.stringify(clusterOf(1)),
)

describe.skipIf(process.platform !== "linux")("a helper", () => {
  it.live("is told as by the whole program, or by it", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const bare = recordOf("bare")
      yield* loggedIn(home, {
        plain: recordOf("plain"),
        odd: { ...recordOf("odd"), token: { ...tokenOf("odd b"), tokenType: "dpop" } },
        bare: { ...bare, token: { ...bare.token, extras: tokenOf("x").extras } },
        get: recordOf("get"),
      })
      const run = Effect.runPromiseWith(yield* Effect.context<never>())
      let answered = 0
      const env = { TOKENKEEP_HOME: home, HOME: home }
      yield* Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(lines, stdins, configurations, infos, (args, stdin, config, info) =>
            run(
              Effect.gen(function* () {
                writeFileSync(`${home}/config.json`, JSON.stringify(config ?? {}))
                const asked = { ...env, ...(info !== undefined && { KUBERNETES_EXEC_INFO: info }) }
                const stdout = yield* Effect.promise(() =>
                  Promise.resolve()
                    .then(() =>
                      Quick.answer(args, { env: asked, isTerminal: false, stdin: () => Promise.resolve(stdin) }),
                    )
                    .catch(() => undefined),
                )
                if (stdout === undefined) return
                answered++
                assert.deepStrictEqual(yield* WholeProgram.run(args, asked, stdin), { stdout, stderr: [], code: 0 })
              }),
            ),
          ),
          { numRuns: 200 },
        ),
      )
      assert.isAbove(answered, 0)
    }),
  )
})
