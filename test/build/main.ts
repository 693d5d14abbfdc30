/**
 * `npm run build [-- FOLDER [--bare]]`: what is published. In the folder, `dist` unless another is named, the library as it
 * is, each file for itself; in `bundle` under it the program, so that starting it loads little; and what it says of its help,
 * as it says it now. With `--bare` neither that nor declarations nor a check of types, which nobody needs who only runs it.
 */
import { execFile, execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { fileName, kindOf, widths } from "../../src/quick/RecordedHelp.ts"
import { root } from "../support/Programs.ts"
import { write } from "./bundle.ts"

const [to = "dist", bare] = process.argv.slice(2)
const isBare = bare === "--bare"
const leftOut = ["declaration", "declarationMap", "sourceMap"].flatMap((each) => [`--${each}`, "false"])
const options = isBare ? ["--noCheck", ...leftOut] : []
const folder = resolve(root, to)
const bundle = join(folder, "bundle")

rmSync(folder, { recursive: true, force: true })
execFileSync(
  process.execPath,
  [
    join(root, "node_modules/typescript/bin/tsc"),
    "-p",
    join(root, "tsconfig.build.json"),
    "--outDir",
    folder,
    ...options,
  ],
  { stdio: "inherit" },
)
await write(bundle, { tokenkeep: "src/bin.ts", "tokenkeep-testing-server": "src/testing/main.ts" }, "../main.js", true)

const run = promisify(execFile)
const terminal = ["--import", 'data:text/javascript,Object.defineProperty(process.stdout,"isTTY",{value:true})']

/** Writes down what the program says of itself, of its help and of that of its commands. */
const writeHelp = async (home: string) => {
  /** What the program says on a terminal of so many columns. */
  const said = async (args: ReadonlyArray<string>, columns = 80, isColored = false) => {
    const how = [...terminal, "--import", `data:text/javascript,process.stdout.columns=${columns}`]
    const env = { PATH: process.env["PATH"], HOME: home, TOKENKEEP_HOME: home, NO_COLOR: isColored ? "" : "1" }
    const { stderr, stdout } = await run(process.execPath, [...how, join(bundle, "tokenkeep.js"), ...args], { env })
    if (stderr !== "") throw new Error(`it said on stderr: ${stderr}`)
    return stdout
  }
  const help = await said(["--help"])
  const section = /\nCOMMANDS\n((?: {2}.*\n)+)/.exec(help)?.[1] ?? ""
  const commands = [...section.matchAll(/^ {2}([\w-]+)/gm)].map(([, name = ""]) => name)
  const texts: { [kind: string]: { [args: string]: string } } = {}
  const kinds = Object.values(widths).flatMap((columns) => [true, false].map((isColored) => ({ columns, isColored })))
  for (const args of [["--version"], ["--help"], ...commands.map((command) => [command, "--help"])]) {
    await Promise.all(
      kinds.map(async ({ columns, isColored }) => {
        const kind = (texts[kindOf(columns, isColored)] ??= {})
        kind[args.join(" ")] = await said(args, columns, isColored)
      }),
    )
  }
  writeFileSync(join(bundle, fileName), JSON.stringify(texts))
}

if (!isBare) {
  const home = mkdtempSync(join(tmpdir(), "tokenkeep-build-"))
  await writeHelp(home).finally(() => rmSync(home, { recursive: true }))
}
