import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import packageJson from "../package.json" with { type: "json" }
import { version } from "../src/version.ts"
import { missing, read } from "./support/complete-lock.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const src = join(root, "src")

/** From low to high: a folder imports from itself and from what stands before it. */
const layers = [
  "domain",
  "helpers",
  "system",
  "oauth",
  "providers",
  "broker",
  "import",
  "server",
  "client",
  "quick",
  "testing",
  "cli",
]
/** These sit on top of all folders. */
const top = new Set(["bin.ts", "http.ts", "index.ts", "main.ts"])

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"))
const textOf = (file: string) => readFileSync(join(src, file), "utf8")
const importsOf = (file: string) =>
  [...textOf(file).matchAll(/(?:from|import\()\s*"([^"]+)"/g)].map(([, path]) => path ?? "")
const targetsOf = (file: string) =>
  importsOf(file)
    .filter((path) => path.startsWith("."))
    .map((path) => relative(src, join(src, dirname(file), path)))

/** What is loaded with a file, before anything is imported by a call. */
const loaded = (from: string, seen = new Set<string>()): ReadonlySet<string> => {
  if (seen.has(from)) return seen
  seen.add(from)
  const imports = [...textOf(from).matchAll(/^(?:import|export)(?! type) [^"]*from "(\.[^"]+)"/gm)]
  for (const [, path = ""] of imports) loaded(join(dirname(from), path), seen)
  return seen
}

describe("src", () => {
  it("imports only downward", () => {
    for (const file of files) {
      const [folder = ""] = file.split("/")
      const rank = layers.indexOf(folder)
      for (const target of targetsOf(file)) {
        const [targetFolder = ""] = target.split("/")
        if (top.has(file) || target === "version.ts") continue
        // The whole program, when nothing quick can be said.
        if (folder === "quick" && target === "main.ts") continue
        assert.include(layers, folder, `${file} is in no known folder`)
        assert.isAtMost(layers.indexOf(targetFolder), rank, `${file} imports ${target}`)
        assert.isAtLeast(layers.indexOf(targetFolder), 0, `${file} imports ${target}`)
      }
    }
  })

  it("never imports an index", () => {
    for (const file of files) for (const target of targetsOf(file)) assert.notMatch(target, /index\.ts$/, file)
  })

  it("has no file that nothing imports", () => {
    const imported = new Set(files.flatMap(targetsOf))
    const entries = new Set([
      "bin.ts",
      "http.ts",
      "index.ts",
      "main.ts",
      "cli/index.ts",
      "testing/index.ts",
      "testing/main.ts",
    ])
    assert.deepStrictEqual(
      files.filter((file) => !imported.has(file) && !entries.has(file)),
      [],
    )
  })

  it("keeps the domain pure, and Node at the edges", () => {
    const edges = [
      "bin.ts",
      "broker/AccountLockFile.ts",
      "broker/BrokerConfigEnv.ts",
      "broker/EventCommand.ts",
      "broker/EventRelay.ts",
      "broker/UsageFile.ts",
      "cli/Auth.ts",
      "cli/login/Browser.ts",
      "cli/exec/CapabilityFile.ts",
      "cli/exec/ChildProcess.ts",
      "cli/login/Desktop.ts",
      "cli/Events.ts",
      "cli/ExitCode.ts",

      "cli/Lines.ts",
      "cli/login/LoopbackAnswer.ts",
      "cli/plugins/PluginLoading.ts",
      "cli/ProcessHygiene.ts",
      "cli/Screen.ts",
      "cli/Serve.ts",
      "cli/Services.ts",
      "cli/ThisProgram.ts",
      "cli/status/Window.ts",
      "cli/doctor/MachineChecks.ts",
      "cli/doctor/Surroundings.ts",
      "client/BrokerClientEnv.ts",
      "client/Endpoint.ts",
      "client/HostConnection.ts",
      "import/Machine.ts",
      "main.ts",
      "oauth/LoopbackListenerNode.ts",
      "oauth/PublicFetchNode.ts",
      "quick/CompileCache.ts",
      "quick/Configuration.ts",
      "quick/RecordedHelp.ts",
      "quick/HostToken.ts",
      "quick/Places.ts",
      "quick/Quick.ts",
      "quick/Stdin.ts",
      "quick/StoredToken.ts",
      "quick/Terminal.ts",
      "server/AuditFile.ts",
      "server/EventFollower.ts",
      "server/Listener.ts",
      "server/PeerCredentials.ts",
      "server/SocketPath.ts",
      "server/Systemd.ts",
      "system/FileReading.ts",
      "system/KernelLock.ts",
      "system/Ownership.ts",
      "system/ProcessId.ts",
      "system/Sha256.ts",
      "testing/ScriptedServer.ts",
      "testing/main.ts",
    ]
    for (const file of files) {
      const text = textOf(file)
      if (file.startsWith("domain/")) assert.notMatch(text, /import \{[^}]*\bEffect\b[^}]*\} from "effect"/, file)
      const touchesNode = importsOf(file).some(
        (path) => path.startsWith("node:") || path.startsWith("@effect/platform-node"),
      )
      if (touchesNode || /\bprocess\./.test(text)) assert.include(edges, file)
    }
  })

  it("does not assert types, swallow exceptions by hand, or leave things for later", () => {
    for (const file of files) {
      const code = textOf(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*|"[^"\n]*"/g, "")
      assert.notMatch(
        code.replace(/import [\s\S]*? from |export \* as|\* as \w+/g, ""),
        /\bas (?!const\b)[A-Z{]\w*/,
        file,
      )
      assert.notMatch(code, /\btry \{|\basync \b|\bDate\.now\b|\bMath\.random\b|\bprocess\.env\b|: any\b/, file)
      assert.notMatch(textOf(file), /TODO|FIXME|@plan|@requirement/, file)
    }
  })

  it("imports only what it uses of the platform: its index brings in a database client with 600 files", () => {
    for (const file of files) assert.notInclude(importsOf(file), "@effect/platform-node", file)
    const usesHttp = files.filter((file) => importsOf(file).includes("effect/http") && !file.startsWith("testing/"))
    assert.deepStrictEqual(
      usesHttp,
      ["client/AuthorizedHttpClient.ts", "oauth/LoopbackListenerNode.ts"],
      "which are loaded when they are needed",
    )
    assert.include([...loaded("http.ts")], "client/AuthorizedHttpClient.ts")
    for (const entry of ["index.ts", "main.ts"]) {
      for (const file of usesHttp) assert.isFalse(loaded(entry).has(file), `${entry} loads ${file}`)
    }
  })

  it("answers quickly without Effect", () => {
    const quick = [...loaded("bin.ts")]
    assert.include(quick, "quick/HostToken.ts")
    for (const file of quick) {
      const packages = importsOf(file).filter((path) => !path.startsWith(".") && !path.startsWith("node:"))
      assert.deepStrictEqual(packages, [], file)
    }
  })

  it("says the version of the package", () => {
    assert.strictEqual(version, packageJson.version)
  })
})

describe("the lock file", () => {
  it("has an entry for every platform's binaries, or npm ci would refuse it", () => {
    const names = missing(read()).map(([name]) => name)
    assert.deepStrictEqual(names, [], "node test/support/complete-lock.ts adds them")
  })

  it("names no registry", () => {
    assert.notMatch(readFileSync(join(root, "package-lock.json"), "utf8"), /"resolved"/)
  })
})
