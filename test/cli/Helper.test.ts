/**
 * What helpers answer and refuse, over a broker with one token; and what they write into other tools' files.
 */
import { createServer } from "node:http"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { HostFailure } from "../../src/domain/Errors.ts"
import { Broker } from "../../src/broker/Broker.ts"
import { brokerOf, filesIn, place, run, token } from "../support/Helping.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const hosts = { "github.com": "github", "ghcr.io": "github", "gitlab.com": "gitlab" }
const github = "protocol=https\nhost=github.com\n"
const answer = "username=oauth2\npassword=token-EXAMPLE\npassword_expiry_utc=1900000000\n"

describe("helper git", () => {
  it.effect("answers for hosts that are bound to the account, in the configuration or as typed", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const said = (args: ReadonlyArray<string>, stdin = github) =>
        Effect.map(run(["git", ...args], { home, hosts, stdin }), ({ error, stderr, stdout }) => {
          assert.deepStrictEqual([stderr, error], ["", undefined])
          return stdout
        })
      assert.strictEqual(yield* said(["github", "get"]), answer)
      assert.strictEqual(yield* said(["get"]), answer)
      assert.strictEqual(yield* said(["gitlab", "get"]), "")
      assert.strictEqual(yield* said(["github", "get"], "protocol=https\nhost=gitlab.com\n"), "")
      for (const host of [
        "github.com.evil.example",
        "www.github.com",
        "github.com%0d%0a",
        "gіthub.com",
        "github.com:8443",
      ]) {
        assert.strictEqual(yield* said(["github", "get"], `protocol=https\nhost=${host}\n`), "", host)
      }
      assert.strictEqual(yield* said(["github", "get"], "protocol=http\nhost=github.com\n"), "")
      assert.strictEqual(yield* said(["github", "get", "--host", "git.example"]), "")
      assert.strictEqual(
        yield* said(
          ["github", "get", "--host", "git.example", "--username", "me"],
          "protocol=https\nhost=git.example\n",
        ),
        answer.replace("oauth2", "me"),
      )
      assert.strictEqual(
        yield* said(["github", "get"], `capability[]=authtype\n${github}`),
        "capability[]=authtype\nauthtype=Basic\ncredential=b2F1dGgyOnRva2VuLUVYQU1QTEU=\nephemeral=1\npassword_expiry_utc=1900000000\n",
      )
      assert.strictEqual(yield* said(["github", "capability"]), "version 0\ncapability authtype\n")
    }),
  )

  it.effect("asks no broker for what it does not answer, stores nothing and passes over what it does not know", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const { calls, layer: broker } = brokerOf()
      const silent = (action: string, stdin: string) =>
        Effect.map(run(["git", "github", action], { home, hosts, stdin, broker }), ({ error, stdout }) =>
          assert.deepStrictEqual([stdout, error], ["", undefined]),
        )
      yield* silent("get", "protocol=https\nhost=evil.example\n")
      yield* silent("get", `${github}path=a\rb\n`)
      yield* silent("get", "host=github.com\n")
      yield* silent("store", `${github}username=oauth2\npassword=token-EXAMPLE\n`)
      yield* silent("whatever", github)
      assert.deepStrictEqual(calls, [])
    }),
  )

  it.effect("gets another token for one that was not taken, and logs nobody out", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const { calls, layer: broker } = brokerOf()
      const erase = (stdin: string) => run(["git", "github", "erase"], { home, hosts, stdin, broker })
      assert.strictEqual((yield* erase(`${github}password=older\n`)).error, undefined)
      yield* erase(github)
      yield* erase("protocol=https\nhost=evil.example\npassword=token-EXAMPLE\n")
      assert.deepStrictEqual(calls, ["get github"])
      yield* erase(`${github}username=oauth2\npassword=token-EXAMPLE\n`)
      yield* erase(`${github}authtype=Basic\ncredential=b2F1dGgyOnRva2VuLUVYQU1QTEU=\n`)
      assert.deepStrictEqual(calls.slice(1), ["get github", "refresh github", "get github", "refresh github"])
      const nobody = yield* run(["git", "gitlab", "erase"], {
        home,
        stdin: "protocol=https\nhost=gitlab.com\npassword=x\n",
        broker,
      })
      assert.strictEqual(nobody.error, undefined)
    }),
  )

  it.effect("has git ask nobody else where there is no token, and says why", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const stdin = "protocol=https\nhost=gitlab.com\n"
      const { error, stdout } = yield* run(["git", "get"], { home, hosts, stdin })
      assert.strictEqual(stdout, "quit=1\n")
      assert.include(error, "tokenkeep login gitlab")
      const bad = { ...token, accessToken: Redacted.make("a\nhost=evil.example") }
      const refused = yield* run(["git", "get"], { home, stdin: github, broker: brokerOf("github", bad).layer })
      assert.strictEqual(refused.stdout, "quit=1\n")
      assert.include(refused.error, "Nothing was handed out")
      assert.notInclude(`${refused.error}${refused.stderr}`, "evil")
    }),
  )

  it.effect("says which hosts of the configuration bind nothing", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const said = yield* run(["git", "get"], { home, hosts: { "*.github.com": "github" }, stdin: github })
      assert.strictEqual(said.stdout, "")
      assert.include(said.stderr, "*.github.com")
    }),
  )

  it.effect("is told what to say where nothing was asked for", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      assert.include((yield* run(["git", "github"], { home })).error, "--install")
      assert.include((yield* run(["git", "github", "--install"], { home })).error, "--host github.com")
      assert.include((yield* run(["git", "github", "get", "--host", "*.com"], { home })).error, "expected a host")
    }),
  )
})

const execInfo = (spec: unknown, apiVersion = "client.authentication.k8s.io/v1beta1") => ({
  KUBERNETES_EXEC_INFO: JSON.stringify({ apiVersion, kind: "ExecCredential", spec }),
})

describe("helper kube", () => {
  it.effect("answers clusters that are bound, in the version that they ask for", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const bound = { "k8s.example:6443": "github" }
      const said = (environment: { readonly [name: string]: string }, ...more: ReadonlyArray<string>) =>
        run(["kube", "github", ...more], { home, hosts: bound, environment })
      const cluster = (server: string) => execInfo({ interactive: true, cluster: { server } })
      assert.strictEqual(
        (yield* said(cluster("https://k8s.example:6443"))).stdout,
        '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"token-EXAMPLE","expirationTimestamp":"2030-03-17T17:46:40Z"}}\n',
      )
      assert.include((yield* said({})).stdout, '"client.authentication.k8s.io/v1"')
      assert.include((yield* said(cluster("https://other.example"), "--host", "other.example")).stdout, "token-EXAMPLE")
      for (const [environment, why] of [
        [cluster("https://other.example"), "not bound"],
        [cluster("http://k8s.example:6443"), "not bound"],
        [execInfo({}, "client.authentication.k8s.io/v1alpha1"), "apiVersion"],
        [{ KUBERNETES_EXEC_INFO: "{" }, "apiVersion"],
      ] as const) {
        const { error, stdout } = yield* said(environment)
        assert.strictEqual(stdout, "")
        assert.include(error, why)
      }
      assert.include((yield* said({}, "--host", "k8s.example:6443")).error, "provideClusterInfo")
    }),
  )

  it.effect("does not take a kubeconfig that kubectl cannot read for one without the user", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const kubectl = place(home, "bin/kubectl", "#!/bin/sh\nexit 1\n")
      chmodSync(kubectl, 0o755)
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const before = process.env["PATH"]
          process.env["PATH"] = `${home}/bin:${before}`
          return before
        }),
        (before) => Effect.sync(() => (process.env["PATH"] = before)),
      )
      const install = yield* run(["kube", "github", "--host", "k8s.example", "--install", "--yes"], { home })
      assert.include(install.error, "cannot read its configuration")
      assert.isFalse(existsSync(`${home}/keep/config.json`))
      const uninstall = yield* run(["kube", "github", "--uninstall", "--yes"], { home })
      assert.include(uninstall.error, "cannot read its configuration")
    }),
  )
})

describe("helper docker", () => {
  it.effect("answers as docker reads it, and says there what is wrong", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const said = (action: string, stdin = "") =>
        Effect.map(run(["docker", action], { home, hosts, stdin }), ({ code, stdout }) => [code, stdout])
      assert.deepStrictEqual(yield* said("get", "https://ghcr.io\n"), [
        0,
        '{"ServerURL":"https://ghcr.io","Username":"oauth2","Secret":"token-EXAMPLE"}\n',
      ])
      for (const other of ["evil.example", "ghcr.io.evil.example", "http://ghcr.io", "ghcr.io\r\n"]) {
        assert.deepStrictEqual(yield* said("get", other), [1, "credentials not found in native keychain\n"], other)
      }
      assert.deepStrictEqual(yield* said("get", "\n"), [1, "no credentials server URL\n"])
      assert.deepStrictEqual(yield* said("get", "gitlab.com"), [
        1,
        "tokenkeep: Nobody is logged in as gitlab. Log in with: tokenkeep login gitlab\n",
      ])
      assert.deepStrictEqual(yield* said("list"), [
        0,
        '{"github.com":"oauth2","ghcr.io":"oauth2","gitlab.com":"oauth2"}\n',
      ])
      const [stored, words] = yield* said("store", '{"ServerURL":"ghcr.io","Username":"a","Secret":"canary"}')
      assert.strictEqual(stored, 1)
      assert.include(words, "keeps no passwords")
      assert.notInclude(words, "canary")
      assert.deepStrictEqual(yield* said("erase", "ghcr.io"), [0, ""])
    }),
  )

  it.effect("is put in place for docker, and taken back as it was", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const original = '{\n\t"auths": {},\n\t"credHelpers": {\n\t\t"eu.gcr.io": "gcloud"\n\t}\n}'
      place(home, ".docker/config.json", original)
      const before = filesIn(home)
      const install = ["docker", "github", "--host", "ghcr.io", "--install"]
      const asked = yield* run(install, { home })
      assert.include(asked.error, "add --yes")
      assert.include(asked.stderr, 'config.json: "credHelpers" {"ghcr.io":"tokenkeep"}')
      assert.include(asked.stderr, 'exec /opt/bin/tokenkeep helper docker "$@"')
      assert.notInclude(asked.stderr, "npx")
      assert.deepStrictEqual(filesIn(home), before)
      assert.isUndefined((yield* run([...install, "--yes"], { home })).error)
      assert.strictEqual(
        readFileSync(`${home}/.docker/config.json`, "utf8"),
        '{\n\t"auths": {},\n\t"credHelpers": {\n\t\t"eu.gcr.io": "gcloud",\n\t\t"ghcr.io": "tokenkeep"\n\t}\n}',
      )
      const script = `${home}/.local/bin/docker-credential-tokenkeep`
      assert.strictEqual(statSync(script).mode & 0o777, 0o755)
      assert.include(readFileSync(script, "utf8"), 'exec /opt/bin/tokenkeep helper docker "$@"\n')
      assert.deepStrictEqual(JSON.parse(readFileSync(`${home}/keep/config.json`, "utf8")).hosts, {
        "ghcr.io": "github",
      })
      assert.include((yield* run([...install, "--yes"], { home })).stderr, "already")
      const uninstall = ["docker", "github", "--uninstall", "--yes"]
      assert.isUndefined((yield* run(uninstall, { home })).error)
      assert.deepStrictEqual(filesIn(home), { ...before, "keep/config.json": '{\n  "providers": {}\n}\n' })
      assert.include((yield* run(uninstall, { home })).stderr, "nothing to take back")
    }),
  )

  it.effect("is not put in place for good without a word, where it is gone some day", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const install = ["docker", "github", "--host", "ghcr.io", "--install"]
      const program = ["/home/a/.npm/_npx/1/node_modules/.bin/tokenkeep"]
      assert.include((yield* run(install, { home, program })).stderr, "npx")
    }),
  )

  it.effect("says that what starts it must find the same logins", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const install = ["api-key", "github", "--install", "--yes"]
      const environment = { TOKENKEEP_HOME: `${home}/keep` }
      assert.include((yield* run(install, { home, environment })).stderr, "TOKENKEEP_HOME is set here")
      const uninstall = ["api-key", "github", "--uninstall", "--yes"]
      assert.notInclude((yield* run(uninstall, { home, environment })).stderr, "TOKENKEEP_HOME")
      assert.notInclude((yield* run(install, { home })).stderr, "TOKENKEEP_HOME")
    }),
  )

  it.effect("is given the user name that a registry wants", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const install = ["docker", "github", "--host", "registry.example", "--username", "me", "--install", "--yes"]
      assert.isUndefined((yield* run(install, { home })).error)
      assert.strictEqual((yield* run(["docker", "list"], { home })).stdout, '{"registry.example":"me"}\n')
      assert.include((yield* run(["docker", "get"], { home, stdin: "registry.example" })).stdout, '"Username":"me"')
    }),
  )

  it.effect("replaces nothing of anybody else's", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const install = ["docker", "github", "--host", "ghcr.io", "--install", "--yes"]
      place(home, ".docker/config.json", '{"credHelpers":{"ghcr.io":"gcloud"}}')
      assert.include((yield* run(install, { home })).error, "another program")
      place(home, ".docker/config.json", "[1]")
      assert.include((yield* run(install, { home })).error, "left as it is")
      place(home, ".docker/config.json", "{}")
      place(home, ".local/bin/docker-credential-tokenkeep", "#!/bin/sh\nother\n")
      assert.include((yield* run(install, { home })).error, "--bin")
      assert.isUndefined((yield* run([...install, "--bin", `${home}/mine`], { home })).error)
      place(home, "mine/docker-credential-tokenkeep", "#!/bin/sh\nchanged since\n")
      place(home, ".docker/config.json", '{"credHelpers":{"ghcr.io":"changed"}}')
      const { stderr } = yield* run(["docker", "github", "--bin", `${home}/mine`, "--uninstall", "--yes"], { home })
      assert.include(stderr, "nothing to take back")
      assert.isTrue(existsSync(`${home}/mine/docker-credential-tokenkeep`))
      assert.include(readFileSync(`${home}/.docker/config.json`, "utf8"), "changed")
    }),
  )

  it.effect("puts nothing where a link leads that leads nowhere, nor in its place", () =>
    Effect.gen(function* () {
      const install = ["docker", "github", "--host", "ghcr.io", "--install", "--yes"]
      for (const [name, folder] of [
        ["config.json", ".docker"],
        ["docker-credential-tokenkeep", ".local/bin"],
      ] as const) {
        const home = yield* TemporaryHome.make
        mkdirSync(`${home}/${folder}`, { recursive: true })
        symlinkSync(`${home}/elsewhere`, `${home}/${folder}/${name}`)
        assert.include((yield* run(install, { home })).error, "is a link to a file that is not there")
        assert.strictEqual(readlinkSync(`${home}/${folder}/${name}`), `${home}/elsewhere`)
        assert.isFalse(existsSync(`${home}/elsewhere`))
        assert.isFalse(existsSync(`${home}/keep/config.json`))
      }
    }),
  )

  it.effect("brings no other helper back that is named beside it", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const text = '{"credHelpers":{"ghcr.io":"older","a":"b","ghcr.io":"tokenkeep"}}'
      const path = place(home, ".docker/config.json", text)
      const { error } = yield* run(["docker", "github", "--host", "ghcr.io", "--uninstall", "--yes"], { home })
      assert.include(error, '"credHelpers"."ghcr.io" more than once')
      assert.strictEqual(readFileSync(path, "utf8"), text)
    }),
  )
})

describe("helper api-key", () => {
  it.effect("prints a token, or a key, and a line end", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      assert.strictEqual((yield* run(["api-key", "github"], { home })).stdout, "token-EXAMPLE\n")
      assert.strictEqual((yield* run(["api-key", "--key", "hub"], { home })).stdout, "sk-EXAMPLE\n")
      const none = yield* run(["api-key", "--key", "other"], { home })
      assert.deepStrictEqual([none.stdout, none.error?.includes("other")], ["", true])
      assert.include((yield* run(["api-key"], { home })).error, "--key")
    }),
  )

  it.effect("is named in Claude Code's settings, and taken back as it was", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      for (const original of ['{\n  "model": "opus",\n  "env": {}\n}\n', "{}", '{ "a":1,\r\n"b" : [2] }']) {
        const path = place(home, ".claude/settings.json", original)
        assert.isUndefined((yield* run(["api-key", "--key", "my key", "--install", "--yes"], { home })).error)
        assert.strictEqual(
          JSON.parse(readFileSync(path, "utf8")).apiKeyHelper,
          "/opt/bin/tokenkeep helper api-key --key 'my key'",
        )
        assert.include((yield* run(["api-key", "github", "--install", "--yes"], { home })).error, "already")
        assert.include((yield* run(["api-key", "github", "--uninstall", "--yes"], { home })).stderr, "nothing")
        assert.isUndefined((yield* run(["api-key", "--key", "my key", "--uninstall", "--yes"], { home })).error)
        assert.strictEqual(readFileSync(path, "utf8"), original)
      }
      // The earlier one would count as soon as ours is gone.
      const twice = '{"apiKeyHelper":"older","apiKeyHelper":"/opt/bin/tokenkeep helper api-key github"}'
      const path = place(home, ".claude/settings.json", twice)
      const { error } = yield* run(["api-key", "github", "--uninstall", "--yes"], { home })
      assert.include(error, '"apiKeyHelper" more than once')
      assert.strictEqual(readFileSync(path, "utf8"), twice)
    }),
  )
})

const xml = `<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLEEXAMPLE00</AccessKeyId><SecretAccessKey>wJalr/EXAMPLE</SecretAccessKey><SessionToken>AQoD+EXAMPLE=</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></R>`

/** STS, as it answers what it was set to. */
const sts = Effect.acquireRelease(
  Effect.callback<{ url: string; bodies: Array<string>; answer: { status: number; body: string }; close: () => void }>(
    (resume) => {
      const bodies: Array<string> = []
      const answer = { status: 200, body: xml }
      const server = createServer((request, response) => {
        let body = ""
        request.on("data", (chunk) => (body += chunk))
        request.on("end", () => {
          bodies.push(`${request.method} ${request.url} ${body}`)
          response.writeHead(answer.status, { "content-type": "text/xml" }).end(answer.body)
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const close = () => void server.close(() => {}).closeAllConnections()
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}/`, bodies, answer, close }))
      })
    },
  ),
  ({ close }) => Effect.sync(close),
)

describe("helper aws", () => {
  const arn = "arn:aws:iam::123456789012:role/dev"

  it.effect("trades the token for the keys of a role", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const server = yield* sts
      const ask = run(["aws", "github", "--role-arn", arn, "--duration", "900", "--endpoint", server.url], { home })
      assert.deepStrictEqual(JSON.parse((yield* ask).stdout), {
        Version: 1,
        AccessKeyId: "ASIAEXAMPLEEXAMPLE00",
        SecretAccessKey: "wJalr/EXAMPLE",
        SessionToken: "AQoD+EXAMPLE=",
        Expiration: "2030-01-01T00:00:00Z",
      })
      assert.deepStrictEqual(server.bodies, [
        "POST / Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fdev&RoleSessionName=tokenkeep&DurationSeconds=900&WebIdentityToken=token-EXAMPLE",
      ])
      for (const [status, body, words] of [
        [400, "<Code>InvalidIdentityToken</Code>", "(InvalidIdentityToken)"],
        [403, "<Code>AccessDenied</Code><Message>\u001b[2J</Message>", "trust policy does not allow"],
        [400, "<Code>IDPCommunicationError</Code>", "try again later"],
        [503, "", "try again later"],
        [200, "<html>", "gave no keys"],
        [302, "", "gave no keys"],
      ] as const) {
        Object.assign(server.answer, { status, body })
        const { error, stdout } = yield* ask
        assert.strictEqual(stdout, "")
        assert.include(error, words)
        assert.notMatch(error ?? "", /\p{Cc}|EXAMPLE/u)
      }
      server.close()
      assert.include((yield* ask).error, "could not be asked")
    }),
  )

  it.effect("wants a role, and an address that a token may be sent to", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const said = (...args: ReadonlyArray<string>) =>
        Effect.map(run(["aws", "github", ...args], { home }), ({ error }) => error)
      assert.include(yield* said(), "--role-arn")
      assert.include(yield* said("--role-arn", "x"), "expected an ARN")
      assert.include(yield* said("--role-arn", arn, "--endpoint", "http://sts.example/"), "https")
      assert.include(yield* said("--role-arn", arn, "--region", "evil.example"), "region")
      assert.include(yield* said("--role-arn", arn.replace("aws", "aws-cn")), "--region")
      assert.include(yield* said("--role-arn", arn, "--endpoint", "https://sts.example", "--id-token"), "for the host")
    }),
  )

  it.effect("is a profile of AWS' programs, and taken back as it was", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const install = ["aws", "github", "--role-arn", arn, "--profile", "dev", "--install", "--yes"]
      const uninstall = ["aws", "github", "--profile", "dev", "--uninstall", "--yes"]
      const line = `credential_process = /opt/bin/tokenkeep helper aws github --role-arn ${arn}`
      for (const original of [
        "",
        "[default]\nregion = eu-central-1\n",
        "[default]\nregion = x",
        "[profile a]\r\nb = c\r\n",
      ]) {
        const path = place(home, ".aws/config", original)
        assert.isUndefined((yield* run(install, { home })).error)
        assert.include(readFileSync(path, "utf8"), `[profile dev]\n${line}\n`)
        assert.include((yield* run(install, { home })).stderr, "already")
        assert.isUndefined((yield* run(uninstall, { home })).error)
        const left = readFileSync(path, "utf8")
        assert.strictEqual(left.replace(/\n$/, ""), original.replace(/\n$/, ""))
      }
      const path = place(home, ".aws/config", `[profile dev]\n${line}\nregion = x\n\n[profile other]\n${line}\n`)
      yield* run(uninstall, { home })
      assert.strictEqual(readFileSync(path, "utf8"), `[profile dev]\nregion = x\n\n[profile other]\n${line}\n`)
      assert.include((yield* run(install, { home })).error, "has a profile dev already")
      for (const header of ["[profile dev] # mine", "[ profile  'dev' ]", '[profile "dev"]']) {
        writeFileSync(path, `${header}\nregion = x\n`)
        assert.include((yield* run(install, { home })).error, "has a profile dev already", header)
      }
      const latin = Buffer.from("# M\u00fcller\n[profile keep]\nregion = x\n", "latin1")
      writeFileSync(path, latin)
      assert.include((yield* run(install, { home })).error, "left as it is")
      assert.deepStrictEqual(readFileSync(path), latin)
    }),
  )
})

describe("a helper without a host", () => {
  it.effect("says so, and gives nothing", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const broker = Layer.mock(Broker, { getToken: () => Effect.fail(HostFailure.make({})) })
      for (const args of [
        ["git", "get"],
        ["api-key", "github"],
        ["kube", "github"],
      ]) {
        const { error, stdout } = yield* run(args, { home, hosts, stdin: github, broker })
        assert.match(stdout, /^(quit=1\n)?$/)
        assert.include(error, "log")
      }
    }),
  )
})
