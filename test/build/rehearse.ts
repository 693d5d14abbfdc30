/**
 * `npm run rehearse`: what publishing would bring to a user. Packs the package, has publint and are-the-types-wrong look at
 * it, installs it into an empty folder, checks types there, and uses it with every Node that is promised. It needs the
 * registry, and takes a minute or two.
 */
import { execFileSync, spawn } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { root } from "../support/Programs.ts"

/** The oldest that is promised, the one of the tests, and the newest. */
const nodes = ["22.19.0", "24", "26"]

const place = mkdtempSync(join(tmpdir(), "tokenkeep-rehearsal-"))
const consumer = join(place, "consumer")

const say = (text: string) => process.stdout.write(`${text}\n`)

const run = (command: string, args: ReadonlyArray<string>, cwd: string, env: NodeJS.ProcessEnv = process.env) =>
  execFileSync(command, args, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

const npm = (args: ReadonlyArray<string>, cwd: string) =>
  run("npm", ["--silent", "--no-fund", "--no-audit", ...args], cwd)

const must = (isSo: boolean, otherwise: string) => {
  if (!isSo) throw new Error(otherwise)
}

/** Packs it, as `npm publish` does, and has it looked at. */
const pack = () => {
  npm(["run", "build"], root)
  npm(["pack", "--ignore-scripts", "--pack-destination", place], root)
  const archive = readdirSync(place).find((name) => name.endsWith(".tgz")) ?? ""
  const bin = join(root, "node_modules/.bin")
  run(join(bin, "publint"), ["--strict", join(place, archive)], root)
  run(join(bin, "attw"), [join(place, archive), "--profile", "esm-only"], root)
  return join(place, archive)
}

/** Types, as programs see them that are checked strictly, with the declarations of what they use. */
const checkTypes = () => {
  const examples = join(consumer, "src")
  cpSync(join(root, "test/examples"), examples, {
    recursive: true,
    filter: (name) => !/plugin-package|acme\.test/.test(name),
  })
  for (const moduleResolution of ["nodenext", "bundler"]) {
    const isBundled = moduleResolution === "bundler"
    const module = isBundled ? "esnext" : moduleResolution
    // Effect's own declarations are only complete with those of browsers.
    const lib = isBundled ? ["es2024", "dom"] : ["es2024"]
    const compilerOptions = {
      module,
      moduleResolution,
      strict: true,
      noEmit: true,
      target: "es2024",
      lib,
      types: ["node"],
      allowImportingTsExtensions: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: !isBundled,
    }
    writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["src"] }))
    run(join(consumer, "node_modules/.bin/tsc"), ["-p", "tsconfig.json"], consumer)
    say(`types: ${moduleResolution}`)
  }
}

/** The first line that a program says. */
const firstLine = (child: ReturnType<typeof spawn>) =>
  new Promise<string>((resolve, reject) => {
    let said = ""
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString()
      const end = said.indexOf("\n")
      if (end !== -1) resolve(said.slice(0, end))
    })
    child.once("close", () => reject(new Error(`it ended without a line: ${said}`)))
  })

/** A login, its token from the store and from a socket, and a library program: with this Node. */
const use = async (version: string) => {
  const own = join(place, `node-${version}`)
  mkdirSync(own)
  npm(["install", "--prefix", own, `node@${version}`], own)
  const node = join(own, "node_modules/.bin/node")
  const home = join(own, "home")
  mkdirSync(home)
  const env = { HOME: home, TOKENKEEP_HOME: join(home, "keep"), PATH: join(own, "node_modules/.bin") }
  const bin = (name: string) => join(consumer, "node_modules/.bin", name)
  const tokenkeep = (...args: ReadonlyArray<string>) => run(node, [bin("tokenkeep"), ...args], consumer, env)

  const server = spawn(node, [bin("tokenkeep-testing-server"), "--public-client"], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  })
  const { client_id: client, issuer } = JSON.parse(await firstLine(server))
  must(tokenkeep("--version").includes(packageJson.version), "it is of another version")
  tokenkeep("provider", "add", "demo", "--issuer", issuer, "--client-id", client, "--flow", "device")
  tokenkeep("login", "demo", "--no-input")
  const token = tokenkeep("token", "demo").trim()
  must(token.length > 10, "it has no token")

  const host = spawn(node, [bin("tokenkeep"), "serve"], { env, stdio: ["ignore", "pipe", "inherit"] })
  const path = (await firstLine(host)).replace("Listening on ", "")
  const sandbox = { ...env, TOKENKEEP_HOME: join(home, "sandbox"), TOKENKEEP_SOCKET: path }
  must(run(node, [bin("tokenkeep"), "token", "demo"], consumer, sandbox).trim() === token, "the host hands out another")
  const { accounts } = JSON.parse(tokenkeep("status", "--json"))
  must(accounts[0]?.state === "ok", "the login is not in order")

  const source = readFileSync(join(root, "test/examples/embed.ts"), "utf8").replaceAll('"example"', '"demo"')
  writeFileSync(join(consumer, "embed.ts"), source)
  const types = version.startsWith("22") ? ["--disable-warning=ExperimentalWarning"] : []
  const said = run(node, [...types, join(consumer, "embed.ts"), path], consumer, env)
  must(said.includes(`${token.length} characters`), "the library has no token")
  host.kill()
  server.kill()
  say(`node ${run(node, ["--version"], own).trim()}`)
}

const archive = pack()
mkdirSync(consumer)
writeFileSync(join(consumer, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }))
const { "@effect/vitest": vitest, "@types/node": types, effect, typescript } = packageJson.devDependencies
npm(
  [
    "install",
    archive,
    `effect@${effect}`,
    `@effect/platform-node@${packageJson.dependencies["@effect/platform-node"]}`,
    `typescript@${typescript}`,
    `@types/node@${types}`,
    `@effect/vitest@${vitest}`,
    `vitest@${packageJson.devDependencies.vitest}`,
  ],
  consumer,
)
checkTypes()
for (const version of nodes) await use(version)
rmSync(place, { recursive: true })
