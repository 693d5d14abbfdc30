/**
 * The program in a terminal that is drawn for nobody: tmux shows what a person would see.
 */
import { execFileSync, spawnSync } from "node:child_process"
import { Effect } from "effect"
import * as Shell from "../../src/helpers/Shell.ts"
import { compileCache } from "./compileCache.ts"
import { type Environment, main } from "./Program.ts"

export const isPossible = spawnSync("tmux", ["-V"]).status === 0

/** Runs the program in a window of this size; all is killed when the scope closes. Only what is given is in its environment. */
export const start = (
  home: string,
  [columns, rows]: readonly [columns: number, rows: number],
  args: ReadonlyArray<string>,
  environment: Environment,
) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const tmux = (...args: ReadonlyArray<string>) =>
        execFileSync("tmux", ["-S", `${home}/tmux`, "-f", "/dev/null", ...args], {
          encoding: "utf8",
          env: { PATH: process.env["PATH"], LANG: "C.UTF-8", HOME: home },
          stdio: "pipe",
        })
      const all = { TERM: "tmux-256color", ...compileCache, ...environment }
      const assignments = Object.entries(all).map(([name, value]) => `${name}=${value}`)
      const command = Shell.command(["env", "-i", ...assignments, process.execPath, main, ...args])
      // The window stays for as long as somebody may look at it.
      tmux("new-session", "-d", "-x", `${columns}`, "-y", `${rows}`, `${command}; echo "exit $?"; cat`)
      const shown = () => tmux("capture-pane", "-p")
      return {
        tmux,
        /** What is on the screen, once it has this text. */
        until: (text: string) =>
          Effect.repeat(Effect.delay(Effect.sync(shown), "100 millis"), { until: (screen) => screen.includes(text) }),
      }
    }),
    ({ tmux }) => Effect.sync(() => tmux("kill-server")),
  )
