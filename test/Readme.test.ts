/**
 * The README is true to the letter: its program is compiled and run, its commands are typed, its files exist.
 */
import { execFile, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import packageJson from "../package.json" with { type: "json" }
import { builtIn } from "../src/providers/BuiltIn.ts"
import * as Protocol from "../src/server/Protocol.ts"
import { loggedIn } from "./support/LoggedIn.ts"
import { recordOf, tokenOf } from "./support/Records.ts"
import * as Activation from "./support/Activation.ts"
import * as AuthorizationServer from "./support/AuthorizationServer.ts"
import { visit } from "./support/Person.ts"
import { compileCache } from "./support/compileCache.ts"
import * as Importing from "./support/Importing.ts"
import * as Program from "./support/Program.ts"
import * as Programs from "./support/Programs.ts"
import * as TemporaryHome from "./support/TemporaryHome.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const readme = readFileSync(`${root}/README.md`, "utf8")
const blocks = [...readme.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language = "", text = ""]) => ({
  language,
  text,
}))
const blockWith = (text: string) => {
  const found = blocks.find((block) => block.text.includes(text))
  assert.isDefined(found, `no block with ${text}`)
  return found?.text ?? ""
}

const run = (args: ReadonlyArray<string>, environment: Program.Environment, under: ReadonlyArray<string> = []) =>
  Program.run(args, environment, "", under)

describe("the README", () => {
  it("has no block that is not executed here", () => {
    assert.deepStrictEqual(
      blocks.map(
        ({ language, text }) =>
          `${language}: ${text
            .split(/[\s&]+/)
            .slice(0, 2)
            .join(" ")}`,
      ),
      [
        "sh: npm ci",
        "sh: npm ci",
        "sh: tokenkeep provider",
        "sh: tokenkeep token",
        "sh: tokenkeep import",
        "sh: tokenkeep exec",
        "sh: tokenkeep serve",
        "ini: # ~/.config/systemd/user/tokenkeep.socket",
        "sh: tokenkeep grant",
        "sh: tokenkeep events",
        "ts: import {",
        "ts: import {",
        "ts: import {",
      ],
    )
  })

  it("names the scripts and the commands of the check that everybody runs", () => {
    assert.include(readme, "npm ci && npm run demo")
    assert.strictEqual(blocks[1]?.text.trim(), "npm ci && npm test")
    assert.containsAllKeys(packageJson.scripts, ["check", "test", "build", "demo", "bench", "tokenkeep"])
    const ci = readFileSync(`${root}/.ci/run`, "utf8")
    assert.match(ci, /npm ci\nnpm test\n$/)
  })

  it("points to files that exist", () => {
    const paths = [...readme.matchAll(/`((?:src|test)\/[\w./]+)`/g)].map(([, path = ""]) => path)
    assert.isAbove(paths.length, 15)
    for (const path of paths) assert.isTrue(existsSync(`${root}/${path}`), path)
  })

  it("says of each provider that is built in what to bring", () => {
    const [, section = ""] = /## Providers\n([^]*?)\n## /.exec(readme) ?? []
    const rows = [...section.matchAll(/^\| (`.*?) *\| (.*?) *\|$/gm)].map(([, names = "", what = ""]) => ({
      names,
      what,
    }))
    const named = rows.flatMap(({ names, what }) =>
      [...names.matchAll(/`(\w+)`/g)].map(([, name = ""]) => [name, what] as const),
    )
    assert.sameMembers(
      named.map(([name]) => name),
      builtIn.map(({ name }) => name),
    )
    for (const [name, what] of named) {
      const { record } = builtIn.find((known) => known.name === name) ?? {}
      if (record?.clientId !== undefined) assert.notInclude(what, "client id", name)
      if (record?.clientSecret !== undefined) assert.include(what, "secret", name)
    }
  })

  it("lists the operations that there are", () => {
    const handlers = readFileSync(`${root}/src/server/Handlers.ts`, "utf8")
    const served = [...handlers.matchAll(/\b(?:operation|handOut|remove)\("([a-z_]+)",/g)].map(([, op = ""]) => op)
    const protocol = readme.slice(readme.indexOf("## The protocol"))
    const listed = [...protocol.matchAll(/^\| `([a-z_]+)`/gm)].map(([, op = ""]) => op).filter((op) => op !== "cancel")
    assert.sameMembers(listed, served)
    const { expiresAt: _, ...eternal } = { ...tokenOf("x"), extras: {} }
    assert.include(readme, `\`expiry\` ${String(Protocol.encodeToken(eternal)["expiry"])}`)
  })

  it.live("shows a library program that runs, on the host and in a sandbox", () =>
    Effect.gen(function* () {
      assert.strictEqual(blockWith("import {"), readFileSync(Programs.sourceOf("embed"), "utf8"))
      const home = yield* TemporaryHome.make
      yield* loggedIn(home, { example: recordOf("one") })
      const run = (...args: ReadonlyArray<string>) =>
        spawnSync(process.execPath, [Programs.pathOf("embed"), ...args], {
          env: { ...compileCache, ...(args.length === 0 && { TOKENKEEP_HOME: home }) },
          encoding: "utf8",
        })
      assert.strictEqual(run().stdout, "A token of 10 characters.\n")
      const host = yield* Program.start(["serve", "--json"], { TOKENKEEP_HOME: home })
      const [, socket = ""] = yield* Effect.promise(() => host.said("stdout", /"socket":"([^"]+)"/))
      const sandbox = run(socket)
      assert.strictEqual(sandbox.stdout, "A token of 10 characters.\n", sandbox.stderr)
    }),
  )

  it.live("shows lines of a program that uses the API of a provider", () =>
    Effect.gen(function* () {
      const program = readFileSync(Programs.sourceOf("http"), "utf8").split("\n")
      for (const line of blockWith("AuthorizedHttpClient").split("\n")) assert.include(program, line)
      const home = yield* TemporaryHome.make
      yield* loggedIn(home, { example: recordOf("one") })
      const server = createServer(({ headers, url }, response) => response.end(`${url} ${headers.authorization}`))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
      const address = server.address()
      const baseUrl = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}/v1`
      const example = {
        issuer: "https://id.example",
        clientId: "c",
        scopes: [],
        flows: ["device_code"],
        api: { baseUrl },
      }
      writeFileSync(`${home}/config.json`, JSON.stringify({ providers: { example } }))
      const ran = yield* Effect.promise(() =>
        promisify(execFile)(process.execPath, [Programs.pathOf("http")], {
          env: { ...compileCache, TOKENKEEP_HOME: home },
        }),
      )
      assert.deepStrictEqual(ran, { stdout: "/v1/models Bearer access-one\n", stderr: "" })
    }),
  )

  it("shows the program in which auth is mounted, which has a test of its own", () => {
    assert.strictEqual(blockWith("tokenkeep/cli"), readFileSync(Programs.sourceOf("acme"), "utf8"))
    assert.include(readFileSync(`${root}/test/examples/acme.test.ts`, "utf8"), 'Programs.pathOf("acme")')
  })

  it.live("shows how other programs get tokens", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      yield* loggedIn(home, { example: recordOf("one") })
      const environment = { TOKENKEEP_HOME: home, HOME: home, PATH: process.env["PATH"] ?? "" }
      const said: Array<string> = []
      for (const line of blockWith("tokenkeep helper").trim().split("\n")) {
        const [, ...args] = line.split(" ")
        const agreed = args.includes("--install") ? ["--yes"] : []
        const { code, stderr, stdout } = yield* run([...args, ...agreed], environment)
        assert.strictEqual(code, 0, `${line}\n${stderr}`)
        said.push(stdout)
      }
      assert.strictEqual(said[0], "Authorization: Bearer access-one\n")
      assert.match(readFileSync(`${home}/.gitconfig`, "utf8"), /"https:\/\/git\.example"/)
      assert.containSubset(JSON.parse(readFileSync(`${home}/config.json`, "utf8")), {
        hosts: { "git.example": "example" },
      })
      assert.match(readFileSync(`${home}/.claude/settings.json`, "utf8"), /apiKeyHelper.*helper api-key example/)
    }),
  )

  it.live("shows how to run a program in a sandbox", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      yield* loggedIn(home, { example: recordOf("one") })
      mkdirSync(`${home}/bin`)
      const ask = `exec "${process.execPath}" "${Program.main}"`
      for (const [name, script] of [
        ["tokenkeep", `${ask} "$@"`],
        ["claude", `${ask} token example`],
        // What is in the container: the socket that is mounted there, and the capability.
        ["docker", `TOKENKEEP_SOCKET="\${6%%:*}"; test "$1 $2 $3" = "run --rm -u" && ${ask} token example`],
      ]) {
        writeFileSync(`${home}/bin/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
      }
      const env = { ...compileCache, TOKENKEEP_HOME: home, PATH: `${home}/bin:${process.env["PATH"] ?? ""}` }
      for (const line of blockWith("tokenkeep exec").trim().split("\n")) {
        const { status, stderr, stdout } = spawnSync("sh", ["-c", line], { env, encoding: "utf8" })
        assert.deepStrictEqual([status, stdout, stderr], [0, "access-one\n", ""], line)
      }
    }),
  )

  it.live("shows commands that work", () =>
    Effect.gen(function* () {
      const server = yield* AuthorizationServer.start()
      const home = yield* TemporaryHome.make
      const environment = { TOKENKEEP_HOME: home, HOME: home }
      const outputs: Array<string> = []
      writeFileSync(`${home}/key.txt`, "sk-of-the-readme\n")
      for (const line of blockWith("tokenkeep login").trim().split("\n")) {
        const [command = "", input = ""] = line.split(" < ")
        const [, ...args] = command
          .replace("https://id.example", server.issuer)
          .replace("my-client", server.clientId)
          .split(" ")
        const running = yield* Program.start(
          args[0] === "login" ? [...args, "--no-browser"] : args,
          environment,
          command === line ? [] : ["sh", "-c", `exec "$@" < ${home}/${input}`, "sh"],
          // As in a clone, once: sources take longer to start than what is built of them.
          outputs.length === 0 ? Program.source : Program.main,
        )
        if (args[0] === "login") {
          const [, url = ""] = yield* Effect.promise(() => running.said("stderr", /open +(\S+)/))
          const [, userCode = ""] = yield* Effect.promise(() => running.said("stderr", /enter +(\S+)/))
          yield* Effect.promise(() => visit(url, { will: "grant", userCode }))
        }
        const { code, stderr, stdout } = yield* Effect.promise(() => running.ended)
        assert.strictEqual(code, 0, `${line}\n${stderr}`)
        outputs.push(stdout)
      }
      assert.match(outputs[1] ?? "", /^example +device +/m)
      assert.match(outputs[3] ?? "", /^\S{20,}\n$/)
      assert.match(outputs[5] ?? "", /^ok +logins /m)
      assert.strictEqual(outputs[6], "")
      assert.strictEqual(outputs[8], "openai\n")
      const path = `${home}/run/host.sock`
      const [serve = ""] = blockWith("tokenkeep serve").trim().split("\n")
      const [, ...args] = serve.replace("/run/user/1000/tokenkeep/host.sock", path).split(" ")
      const host = yield* Program.start(args, environment)
      const [line] = yield* Effect.promise(() => host.said("stdout", /.*\n/))
      assert.strictEqual(line, `Listening on ${path}\n`)
    }),
  )

  it.live("shows how logins of other tools are taken over, and given back", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const claude = yield* Importing.place(
        home,
        ".claude/.credentials.json",
        Importing.golden("claude/credentials.json"),
      )
      yield* Importing.place(
        home,
        ".config/gh/hosts.yml",
        "github.com:\n    user: octo\n    oauth_token: gho_EXAMPLE\n",
      )
      const refreshTokens: Array<unknown> = []
      const said: Array<string> = []
      for (const line of blockWith("tokenkeep import").trim().split("\n")) {
        const [, ...args] = line.split(" ")
        const { code, stderr, stdout } = yield* run(args, { TOKENKEEP_HOME: `${home}/tk`, HOME: home })
        assert.strictEqual(code, 0, `${line}\n${stderr}`)
        assert.notInclude(stdout + stderr, "EXAMPLE")
        refreshTokens.push(JSON.parse(readFileSync(claude, "utf8")).claudeAiOauth.refreshToken)
        said.push(stdout || stderr)
      }
      assert.match(
        said[0] ?? "",
        /^claude +default +anthropic +usable +in \d+ d +\/.*\n^gh +octo +github +usable +never /m,
      )
      assert.include(said[1], "Took over the login of gh as github.")
      assert.deepStrictEqual(refreshTokens, [
        "sk-ant-ort01-EXAMPLE",
        "sk-ant-ort01-EXAMPLE",
        "",
        "sk-ant-ort01-EXAMPLE",
      ])
    }),
  )

  it.live("shows how a grant is made and ended", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const environment = { TOKENKEEP_HOME: home }
      const host = yield* Program.start(["serve"], environment)
      yield* Effect.promise(() => host.said("stdout", /Listening/))
      const said: Array<string> = []
      for (const typed of blockWith("tokenkeep grant").trim().split("\n")) {
        const [command = "", output] = typed.split(" > ")
        const [, ...words] = command.split(" ")
        const into = output === undefined ? [] : ["sh", "-c", `exec "$@" > ${home}/${output}`, "sh"]
        const { code, stderr, stdout } = yield* run(words, environment, into)
        assert.strictEqual(code, 0, `${typed}\n${stderr}`)
        said.push(stdout)
      }
      const [, socket = ""] = /^TOKENKEEP_SOCKET=(.+)\nTOKENKEEP_CAPABILITY=[\w-]{43}\n$/.exec(
        readFileSync(`${home}/sandbox.env`, "utf8"),
      ) ?? [""]
      assert.include(said[1], socket)
      assert.isFalse(existsSync(socket))
    }),
  )

  it.live("shows how to follow what happens", () =>
    Effect.gen(function* () {
      const home = yield* TemporaryHome.make
      const [, ...args] = blockWith("tokenkeep events").trim().replaceAll('"', "").split(" ")
      const following = yield* Program.start(args, { TOKENKEEP_HOME: home })
      yield* Effect.promise(() => following.said("stderr", /^Following .*\n/))
      assert.strictEqual(readdirSync(`${home}/events`).filter((name) => name.startsWith("logins-")).length, 2)
    }),
  )

  it.live.skipIf(!Activation.isPossible)("shows units that systemd can run (skipped without Linux and python3)", () =>
    Effect.gen(function* () {
      const units = blockWith("ListenStream=")
      const [, name = ""] = /^ListenStream=%t\/tokenkeep\/(\S+)$/m.exec(units) ?? []
      const [, ...args] = /^ExecStart=\/usr\/bin\/env (.+)$/m.exec(units)?.[1]?.split(" ") ?? []
      assert.match(units, /^Type=notify$/m)
      const home = yield* TemporaryHome.make
      const host = yield* Program.start(args, { TOKENKEEP_HOME: home }, Activation.launcher(home, "unix"))
      yield* Effect.promise(() => host.said("stdout", /notified: READY=1/))
      yield* Effect.promise(() => host.said("stdout", new RegExp(`Listening on ${home}/${name}`)))
    }),
  )
})

describe("the demo", () => {
  it("goes through, each step checked, in under 20 s", () => {
    const demo = spawnSync(process.execPath, [`${root}/test/demo/main.ts`], {
      encoding: "utf8",
      env: { ...process.env, ...compileCache },
      timeout: 20_000,
    })
    assert.strictEqual(demo.status, 0, demo.stdout + demo.stderr)
    assert.include(demo.stdout, "None of the 2 refresh tokens")
    assert.strictEqual(demo.stderr, "")
  })
})
