/**
 * `npm run build [-- FOLDER]`: what is published. In the folder, `dist` unless another is named, the library as it is, each
 * file for itself; in `bundle` under it the program, so that starting it loads little; and what it says of its help, as it
 * says it now.
 */
import { execFile, execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { fileName } from "../../src/quick/HelpTexts.ts"
import { root } from "../support/Programs.ts"
import { write } from "./bundle.ts"

const [to = "dist", ...options] = process.argv.slice(2)
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
const home = mkdtempSync(join(tmpdir(), "tokenkeep-build-"))
const terminal = ["--import", 'data:text/javascript,Object.defineProperty(process.stdout,"isTTY",{value:true})']

/** What the program says on a terminal of so many columns, or elsewhere. */
const said = async (args: ReadonlyArray<string>, columns?: number) => {
  const how =
    columns === undefined ? [] : [...terminal, "--import", `data:text/javascript,process.stdout.columns=${columns}`]
  const env = { PATH: process.env["PATH"], HOME: home, TOKENKEEP_HOME: home }
  const { stderr, stdout } = await run(process.execPath, [...how, join(bundle, "tokenkeep.js"), ...args], { env })
  if (stderr !== "") throw new Error(`it said on stderr: ${stderr}`)
  return stdout
}

const help = await said(["--help"])
const commands = [...(/\nSUBCOMMANDS\n((?: {2}.*\n)+)/.exec(help)?.[1] ?? "").matchAll(/^ {2}([\w-]+)/gm)].map(
  ([, name = ""]) => name,
)
const texts: { readonly [kind in "plain" | "colored"]: { [args: string]: string } } = { plain: {}, colored: {} }
const remember = async (args: ReadonlyArray<string>, ...others: ReadonlyArray<ReadonlyArray<string>>) => {
  const [plain, narrow, wide] = await Promise.all([said(args), said(args, 40), said(args, 200)])
  for (const each of [args, ...others].map((words) => words.join(" "))) {
    texts.plain[each] = plain
    // What depends on the terminal is not known here.
    if (narrow === wide) texts.colored[each] = narrow
  }
}
await remember(["--version"], ["-v"])
await remember(["--help"], ["-h"])
for (const command of commands) await remember([command, "--help"], [command, "-h"])
writeFileSync(join(bundle, fileName), JSON.stringify(texts))
rmSync(home, { recursive: true })
