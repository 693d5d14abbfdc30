/**
 * The whole path, once, for real: an authorization server, a host, and a sandbox that logs in and gets tokens that
 * cannot refresh themselves. Three processes, no account, no internet. Each line was checked before it was printed.
 */
import { execFile, fork, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { visit } from "../support/Person.ts"

const unknown = process.argv.slice(2).filter((argument) => argument !== "--interactive")
if (unknown.length > 0) {
  console.error(`The demo knows only --interactive, not ${unknown.join(" ")}: npm run demo -- --interactive`)
  process.exit(2)
}
const interactive = process.argv.includes("--interactive")
const here = dirname(fileURLToPath(import.meta.url))
const program = join(here, "../../src/main.ts")
const home = await mkdtemp(join(tmpdir(), "tokenkeep-demo-"))
const started = performance.now()

const say = (text: string) => console.log(`  ✓ ${text}`)
const note = (text: string) => console.log(`    ${text}`)

const check = (holds: boolean, otherwise: string) => {
  if (!holds) throw new Error(otherwise)
}

const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? new Map<string, unknown>(Object.entries(value)).get(name) : undefined

const text = (value: unknown, ...path: ReadonlyArray<string>): string => {
  const found = path.reduce(field, value)
  if (typeof found !== "string") throw new Error(`expected a text at ${path.join(".")}`)
  return found
}

const children: Array<ReturnType<typeof spawn>> = []

const run = async () => {
  const server = fork(join(here, "authorization-server.ts"), { silent: true })
  children.push(server)
  const [address]: Array<unknown> = await once(server, "message")
  const issuer = text(address, "issuer")
  say(`A real authorization server (oidc-provider) runs on ${issuer}`)

  const environment = { ...process.env, TOKENKEEP_HOME: home }
  const scopes = ["openid", "offline_access"].flatMap((scope) => ["--scope", scope])
  const provider = ["--issuer", issuer, "--client-id", text(address, "clientId"), "--flow", "device", ...scopes]
  await promisify(execFile)(process.execPath, [program, "provider", "add", "demo", ...provider], { env: environment })
  const host = spawn(process.execPath, [program, "serve", "--json"], {
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
  })
  children.push(host)
  const [listening]: Array<unknown> = await once(createInterface(host.stdout), "line")
  const socket = text(JSON.parse(String(listening)), "socket")
  say(`The host (pid ${host.pid}) listens on ${socket}`)

  const sandbox = spawn(process.execPath, [join(here, "sandbox.ts")], {
    env: { TOKENKEEP_SOCKET: socket },
    stdio: ["pipe", "pipe", "inherit"],
  })
  children.push(sandbox)
  say(`A sandbox (pid ${sandbox.pid}) has the path of that socket, and nothing else`)

  const received: Array<string> = []
  const tokens = new Map<string, string>()
  const accountFile = join(home, "accounts/demo/default.json")
  let stored = ""
  for await (const line of createInterface(sandbox.stdout)) {
    received.push(line)
    const report: unknown = JSON.parse(line)
    const step = text(report, "step")
    const reply = field(report, "reply")
    if (step === "login") {
      const url = text(reply, "data", "verification_uri")
      const userCode = text(reply, "data", "user_code")
      say(`The sandbox begins a login and is told: open ${url} and enter ${userCode}`)
      if (interactive) note("Do that now, in a browser: any name and password will do.")
      else {
        const journey = await visit(url, { will: "grant", userCode })
        check(journey.text.includes("Success"), "the person could not grant access")
        say("A person does so in a browser (this time a scripted one)")
      }
    }
    if (step === "poll" && field(field(reply, "data"), "status") === "complete") {
      say("The sandbox polls the host, which polls the provider: access is granted")
      stored = await readFile(accountFile, "utf8")
      check(stored.includes('"refreshToken"'), "the host has no refresh token")
    }
    if (step === "token" || step === "refresh") {
      const accessToken = text(reply, "data", "access_token")
      tokens.set(step, accessToken)
      const claims: unknown = await fetch(`${issuer}/me`, { headers: { authorization: `Bearer ${accessToken}` } }).then(
        (response) => response.json(),
      )
      check(text(claims, "sub") === "alice" || interactive, "the access token does not work")
      const fields = Object.keys(Object(field(reply, "data"))).join(", ")
      if (step === "token") {
        say(`The sandbox reads a token; the provider accepts it as ${text(claims, "sub")}`)
        note(`what crossed the socket: ${fields}`)
      } else {
        check(accessToken !== tokens.get("token"), "the access token is the old one")
        const before = text(JSON.parse(stored), "token", "refreshToken")
        const after = text(JSON.parse(await readFile(accountFile, "utf8")), "token", "refreshToken")
        check(before !== after, "the refresh token was not rotated")
        say("The sandbox asks for a refresh: a new access token, while the refresh token rotated on the host")
      }
    }
    if (step === "logout") {
      const gone = await readFile(accountFile).then(
        () => false,
        () => true,
      )
      check(field(reply, "ok") === true && gone, "the login was not removed")
      say("The sandbox logs out; the account's file is gone")
    }
    if (step === "after") {
      check(text(reply, "code") === "NOT_FOUND", "there is still a token")
      say("A token asked for after that is refused: NOT_FOUND")
    }
    sandbox.stdin.write("\n")
  }
  check(tokens.size === 2, "the sandbox did not get as far as two tokens")

  server.send("refresh tokens?")
  const [issued]: Array<unknown> = await once(server, "message")
  const refreshTokens = field(issued, "refreshTokens")
  if (!Array.isArray(refreshTokens)) throw new Error("the server did not say what it had issued")
  check(refreshTokens.length >= 2, "the server issued fewer refresh tokens than it must have")
  const everything = received.join("\n")
  const leaked = refreshTokens.filter((token: unknown) => everything.includes(String(token)))
  check(leaked.length === 0 && !everything.includes("refresh_token"), "a refresh token crossed the socket")
  say(
    `None of the ${refreshTokens.length} refresh tokens that were issued is in the ${received.length} replies (${everything.length} bytes) that the sandbox got`,
  )
}

const cleanUp = async () => {
  const ended = children.filter(({ exitCode }) => exitCode === null).map((child) => once(child, "close"))
  for (const child of children) child.kill()
  await Promise.all(ended)
  await rm(home, { recursive: true, force: true })
}
process.once("SIGINT", () => {
  console.error("\n  The demo was interrupted.\n")
  void cleanUp().then(() => process.exit(130))
})

console.log("\ntokenkeep, the whole path:\n")
try {
  await run()
  console.log(`\nEach step was checked. It took ${((performance.now() - started) / 1000).toFixed(1)} s.\n`)
} catch (error) {
  console.error(`\n  ✗ ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  await cleanUp()
}
