/**
 * Helpers as real tools run them: git against servers that want a password, and kubectl against one that wants a token.
 */
import { execFile, spawnSync } from "node:child_process"
import { existsSync, readFileSync, realpathSync } from "node:fs"
import { createServer, type RequestListener, type Server } from "node:http"
import { createServer as createSecureServer } from "node:https"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Git from "../../src/helpers/Git.ts"
import * as ShellWords from "../../src/helpers/Shell.ts"
import { compileCache } from "../support/compileCache.ts"
import { place } from "../support/Helping.ts"
import { loggedIn } from "../support/LoggedIn.ts"
import * as Program from "../support/Program.ts"
import { recordOf } from "../support/Records.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const isThere = (program: string, ...args: ReadonlyArray<string>) => spawnSync(program, args).status === 0
const hasGit = isThere("git", "--version")
const hasKubectl = isThere("kubectl", "version", "--client") && isThere("openssl", "version")

const accessToken = "access-demo"
const basic = `Basic ${Buffer.from(`oauth2:${accessToken}`).toString("base64")}`

const listen = <S extends Server | ReturnType<typeof createSecureServer>>(server: S) =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      }),
  )

/** What was shown to a server by whoever asked it. */
interface Shown {
  readonly path: string
  readonly authorization: string | undefined
}

/** A server of files, as git's dumb protocol wants them, for whoever shows the token. */
const serve = Effect.fnUntraced(function* (folder: string, elsewhere: () => string = () => "") {
  const shown: Array<Shown> = []
  const answer: RequestListener = (request, response) => {
    const { authorization } = request.headers
    const { pathname } = new URL(request.url ?? "/", "http://server")
    shown.push({ path: pathname, authorization })
    if (pathname.startsWith("/moved/")) {
      return void response.writeHead(302, { location: `${elsewhere()}${request.url?.replace("/moved", "")}` }).end()
    }
    if (authorization !== basic) {
      return void response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end()
    }
    const file = join(folder, pathname)
    return void (existsSync(file) ? response.end(readFileSync(file)) : response.writeHead(404).end())
  }
  return { port: yield* listen(createServer(answer)), shown }
})

/** A home in which somebody is logged in at `demo`, and where what is run has a home, a path and no terminal. */
const prepare = Effect.gen(function* () {
  const home = realpathSync(yield* TemporaryHome.make)
  yield* loggedIn(`${home}/keep`, { demo: recordOf("demo") })
  const environment = {
    ...compileCache,
    HOME: home,
    TOKENKEEP_HOME: `${home}/keep`,
    PATH: process.env["PATH"] ?? "",
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_NOSYSTEM: "1",
  }
  const tool = (program: string, args: ReadonlyArray<string>, input = "") =>
    Effect.promise(() => {
      const { promise, resolve } = Promise.withResolvers<Program.Outcome>()
      const child = execFile(program, args, { env: environment, cwd: home }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr }),
      )
      child.stdin?.on("error", () => {})
      child.stdin?.end(input)
      return promise
    })
  return { home, environment, tool }
})

/** The helper as git is told of it by hand. */
const helperFor = (...args: ReadonlyArray<string>) =>
  `!${ShellWords.command([process.execPath, Program.main, "helper", "git", "demo", ...args])}`

describe.skipIf(!hasGit)("helper git, run by git", () => {
  it.live("clones from the host that is bound, and shows the token to no submodule's and no redirect's", () =>
    Effect.gen(function* () {
      const { home, tool } = yield* prepare
      const other = yield* serve(home)
      const ours = yield* serve(home, () => `http://127.0.0.1:${other.port}`)
      const script = `
        export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example
        git init -q work && cd work
        printf '[submodule "evil"]\\n\\tpath = evil\\n\\turl = http://127.0.0.1:${other.port}/evil.git\\n' > .gitmodules
        git update-index --add --cacheinfo 160000,0123456789012345678901234567890123456789,evil
        git add .gitmodules && git commit -qm one && cd ..
        git clone -q --bare work repo.git && cd repo.git && git update-server-info`
      const made = yield* tool("sh", ["-ec", script])
      assert.strictEqual(made.code, 0, made.stderr)
      const helper = ["-c", `credential.helper=${helperFor("--host", `127.0.0.1:${ours.port}`)}`]
      const clone = (...args: ReadonlyArray<string>) => tool("git", [...helper, "clone", "-q", ...args])
      const [cloned, moved] = yield* Effect.all(
        [
          clone("--recurse-submodules", `http://127.0.0.1:${ours.port}/repo.git`, "cloned"),
          clone(`http://127.0.0.1:${ours.port}/moved/repo.git`, "moved"),
        ],
        { concurrency: 2 },
      )
      assert.isTrue(existsSync(`${home}/cloned/.gitmodules`), cloned.stderr)
      assert.include(cloned.stderr, "evil")
      assert.notStrictEqual(moved.code, 0)
      assert.include(
        ours.shown.map(({ authorization }) => authorization),
        basic,
      )
      const asked = new Set(other.shown.map(({ path }) => path))
      assert.deepStrictEqual([...asked].toSorted(), ["/evil.git/info/refs", "/repo.git/info/refs"])
      for (const { authorization } of other.shown) assert.isUndefined(authorization)
      for (const { stderr, stdout } of [cloned, moved]) assert.notInclude(stdout + stderr, accessToken)
    }),
  )

  it.live("is put in place by one command, answers through git, and is taken back as it was", () =>
    Effect.gen(function* () {
      const { environment, home, tool } = yield* prepare
      const original = '[user]\n\tname = a\n[credential "https://git.example"]\n\thelper = \n\thelper = !other\n'
      const path = place(home, ".gitconfig", original)
      const helper = ["helper", "git", "demo"]
      const hosts = ["--host", "git.example", "--host", "hub.example"]
      const installed = yield* Program.run([...helper, ...hosts, "--install", "--yes"], environment)
      assert.strictEqual(installed.code, 0, installed.stderr)
      assert.include(installed.stderr, "git config --global --add credential.https://hub.example.helper")
      const config = readFileSync(`${home}/keep/config.json`, "utf8")
      assert.deepStrictEqual(JSON.parse(config).hosts, { "git.example": "demo", "hub.example": "demo" })
      const fill = (input: string) => tool("git", ["credential", "fill"], input)
      const [filled, evil, encoded, line] = yield* Effect.all(
        [
          fill("protocol=https\nhost=hub.example\n\n"),
          fill("url=https://hub.example.evil.example/\n\n"),
          fill("url=https://hub.example%0d%0a.evil.example/\n\n"),
          fill("url=https://evil.example?%0ahost=hub.example/\n\n"),
        ],
        { concurrency: 2 },
      )
      assert.include(filled.stdout, `username=oauth2\npassword=${accessToken}\n`)
      for (const { code, stdout } of [evil, encoded, line]) {
        assert.notStrictEqual(code, 0)
        assert.notInclude(stdout, accessToken)
      }
      const removed = yield* Program.run([...helper, "--uninstall", "--yes"], environment)
      assert.strictEqual(removed.code, 0, removed.stderr)
      assert.strictEqual(
        readFileSync(path, "utf8").replace(/^\[credential "https:\/\/hub.example"\]\n$/m, ""),
        original,
      )
      assert.strictEqual(readFileSync(`${home}/keep/config.json`, "utf8"), '{\n  "providers": {}\n}\n')
    }),
  )
})

/** What git's own code is asked with, and may make of it. */
const hostile = [
  "https://hub.example%0ahost=evil.example/",
  "https://hub.example%0d%0a.evil.example/",
  "https://hub.example%00.evil.example/",
  "https://hub.example%2f.evil.example/",
  "https://hub.example%3a443.evil.example/",
  "https://hub.example%40evil.example/",
  "https://hub.example@evil.example/",
  "https://evil.example\\@hub.example.evil.example/",
  "https://hub.example.evil.example/",
  "https://hub.example./",
  "https://hub.example:8443/",
  "https://h\u0443b.example/",
  "https://\u202ehub.example/",
  "https:///hub.example",
  "http://hub.example/",
  "hub.example",
  "https://",
  "cert:///hub.example",
]

describe.skipIf(!hasGit)("what git and we say to each other", () => {
  it.live("names a host of ours for no address that is not of it, and is read by git as it was meant", () =>
    Effect.gen(function* () {
      const { home, tool } = yield* prepare
      const said = `${home}/said`
      const listening = ["-c", `credential.helper=!f() { cat > '${said}'; echo quit=1; }; f`, "credential", "fill"]
      const asked = Effect.fnUntraced(function* (input: string) {
        place(home, "said", "")
        yield* tool("git", listening, input)
        return Git.parse(readFileSync(said, "utf8"))
      })
      for (const url of hostile) {
        const request = yield* asked(`url=${url}\n\n`)
        assert.isTrue(request._tag === "Nothing" || request.host !== "hub.example", url)
      }
      const request = yield* asked("url=https://someone@HUB.example:443/a/b.git\n\n")
      if (request._tag !== "Request") return assert.fail("git was not understood")
      assert.strictEqual(request.host, "hub.example")

      const binding = { host: "hub.example", account: "demo", username: "oauth2" }
      for (const accessToken of ["a=b==", "=", "a b", "quit=1", "\\n%0a", "~!@#$%^&*()_+{}|:<>?[];',./\"`"]) {
        const answer = Git.answer(request, binding, { accessToken, expiresAt: 4e9, tokenType: "bearer", scopes: [] })
        place(home, "answer", answer._tag === "Said" ? answer.stdout : "")
        const answering = ["-c", `credential.helper=!f() { cat '${home}/answer'; }; f`, "credential", "fill"]
        const filled = yield* tool("git", answering, "protocol=https\nhost=hub.example\n\n")
        // Before 2.40 git did not know of an expiry.
        assert.strictEqual(
          filled.stdout.replace(/^password_expiry_utc=4000000000\n/m, ""),
          `protocol=https\nhost=hub.example\nusername=oauth2\npassword=${accessToken}\n`,
        )
      }
    }),
  )
})

describe.skipIf(!hasKubectl)("helper kube, run by kubectl", () => {
  it.live("has the cluster that is bound shown the token, and is taken back", () =>
    Effect.gen(function* () {
      const { environment, home, tool } = yield* prepare
      const made = yield* tool("openssl", [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=localhost",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
      ])
      assert.strictEqual(made.code, 0, made.stderr)
      const shown: Array<string | undefined> = []
      const port = yield* listen(
        createSecureServer(
          { key: readFileSync(`${home}/key.pem`), cert: readFileSync(`${home}/cert.pem`) },
          (request, response) => {
            shown.push(request.headers.authorization)
            response.setHeader("content-type", "application/json").end("{}")
          },
        ),
      )
      const helper = ["helper", "kube", "demo", "--user", "me", "--host", `127.0.0.1:${port}`]
      const installed = yield* Program.run([...helper, "--install", "--yes"], environment)
      assert.strictEqual(installed.code, 0, installed.stderr)
      const get = (host: string) =>
        tool("kubectl", [
          "--server",
          `https://${host}:${port}`,
          "--insecure-skip-tls-verify=true",
          "--user",
          "me",
          "get",
          "--raw",
          "/version",
        ])
      const [bound, unbound] = yield* Effect.all([get("127.0.0.1"), get("localhost")], { concurrency: 2 })
      assert.strictEqual(bound.code, 0, bound.stderr)
      assert.include(unbound.stderr, "not bound")
      assert.deepStrictEqual([...new Set(shown)], [`Bearer ${accessToken}`])
      const removed = yield* Program.run([...helper, "--uninstall", "--yes"], environment)
      assert.strictEqual(removed.code, 0, removed.stderr)
      assert.notInclude(readFileSync(`${home}/.kube/config`, "utf8"), "tokenkeep")
      assert.notInclude(readFileSync(`${home}/.kube/config`, "utf8"), "name: me")
    }),
  )
})
