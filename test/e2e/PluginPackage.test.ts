/**
 * A plugin that is a package of its own, next to tokenkeep, both as they are published.
 */
import { execFileSync } from "node:child_process"
import { copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as ScriptedServer from "../../src/testing/ScriptedServer.ts"
import * as Program from "../support/Program.ts"
import * as TemporaryHome from "../support/TemporaryHome.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const example = `${root}/test/examples`

/** Packs folders as `npm publish` does, and unpacks them as `npm install` does. */
const install = (modules: string, packages: { readonly [name: string]: string }) => {
  const options = ["--silent", "--offline", "--ignore-scripts", "--pack-destination", modules]
  const said = execFileSync("npm", ["pack", ...Object.values(packages), ...options], { encoding: "utf8", cwd: modules })
  const archives = said.trim().split("\n")
  for (const [at, name] of Object.keys(packages).entries()) {
    mkdirSync(`${modules}/${name}`)
    const to = ["-C", `${modules}/${name}`, "--strip-components=1"]
    execFileSync("tar", ["-xzf", `${modules}/${archives[at]}`, ...to])
  }
}

describe("a plugin in a package", () => {
  it.live(
    "logs in and runs its command beside a packed tokenkeep, whose dependencies are those of this repository",
    () =>
      Effect.gen(function* () {
        const { grant, provider } = yield* ScriptedProvider
        const home = yield* TemporaryHome.make
        const [modules, build, plugin] = [`${home}/node_modules`, `${home}/build`, `${home}/plugin`]
        for (const folder of [modules, build, plugin]) mkdirSync(folder)

        execFileSync(process.execPath, [`${root}/test/build/main.ts`, `${build}/dist`, "--bare"])
        for (const file of ["package.json", "README.md", "LICENSE"]) copyFileSync(`${root}/${file}`, `${build}/${file}`)
        const source = readFileSync(`${example}/plugin/acme.ts`, "utf8").replaceAll(
          "https://id.acme.example",
          provider.issuer,
        )
        writeFileSync(`${plugin}/acme.js`, stripTypeScriptTypes(source))
        copyFileSync(`${example}/plugin-package/package.json`, `${plugin}/package.json`)
        install(modules, { tokenkeep: build, "tokenkeep-plugin-acme": plugin })
        // What a registry would bring.
        for (const name of readdirSync(`${root}/node_modules`)) {
          if (!name.startsWith(".")) symlinkSync(`${root}/node_modules/${name}`, `${modules}/${name}`)
        }

        // The configuration lies in the folder that the packages are installed in.
        writeFileSync(`${home}/config.json`, JSON.stringify({ providers: ["tokenkeep-plugin-acme"] }))
        const program = `${modules}/tokenkeep/dist/bundle/tokenkeep.js`
        const start = (...args: ReadonlyArray<string>) =>
          Program.start(args, { TOKENKEEP_HOME: home, NODE_COMPILE_CACHE: `${home}/cache` }, [], program)
        const login = yield* start("login", "acme", "--no-browser")
        const [url = ""] = yield* Effect.promise(() => login.said("stderr", /http\S+\/authorize\S+/))
        login.write(`${yield* grant(url)}\n`)
        const ended = yield* Effect.promise(() => login.ended)
        assert.strictEqual(ended.code, 0, ended.stderr)
        const whoami = yield* start("acme", "whoami")
        assert.deepStrictEqual(yield* Effect.promise(() => whoami.ended), {
          code: 0,
          stdout: "You are account-1.\n",
          stderr: "",
        })
      }).pipe(Effect.provide(ScriptedServer.layer({ clientId: "acme-cli", clientSecret: Option.none() }))),
  )
})
