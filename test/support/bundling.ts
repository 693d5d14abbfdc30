/**
 * Before the tests, bundles the programs that they start, from the sources as they are. A process that loads a few files
 * instead of hundreds starts with a third of the work, and the tests start hundreds of processes.
 */
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import { write } from "../build/bundle.ts"
import * as Programs from "./Programs.ts"

const aDay = 24 * 60 * 60 * 1000
const cache = join(Programs.root, "node_modules/.cache/bundles")

/** What is in a bundle is known by this; whatever has not changed is not bundled again. */
const fingerprint = () => {
  const hash = createHash("sha256").update(process.version)
  const sources = ["src", "test/build", "test/examples", "test/support"].flatMap((folder) =>
    readdirSync(join(Programs.root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => join(folder, name)),
  )
  for (const name of [...sources.toSorted(), "package-lock.json"]) {
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(Programs.root, name)))
      .update("\0")
  }
  return hash.digest("hex").slice(0, 16)
}

/** Written by every run that uses the bundles, so that it tells their age. */
const stampOf = (folder: string) => join(folder, "used")

const lastUse = (folder: string) => statSync(stampOf(folder), { throwIfNoEntry: false })?.mtimeMs

const bundle = async () => {
  const folder = join(cache, fingerprint())
  if (!existsSync(folder)) {
    const unfinished = join(cache, `unfinished-${process.pid}`)
    await write(unfinished, Programs.sources, Programs.whole, false)
    // Another run may have been first.
    if (existsSync(folder)) rmSync(unfinished, { recursive: true })
    else renameSync(unfinished, folder)
  }
  writeFileSync(stampOf(folder), "")
  const now = lastUse(folder) ?? 0
  for (const other of readdirSync(cache).map((name) => join(cache, name))) {
    if (now - (lastUse(other) ?? now) > aDay) rmSync(other, { recursive: true, force: true })
  }
  process.env[Programs.variable] = folder
}

export const setup = async (project: TestProject) => {
  await bundle()
  project.onTestsRerun(bundle)
}
