/**
 * Adds to the lock file the binaries of other platforms that a registry mirror did not have when it was written. `npm ci`
 * refuses a lock file that leaves out an optional dependency, also one that is of no use on the machine at hand.
 *
 *     node test/support/complete-lock.ts
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

interface Entry {
  readonly version?: string
  readonly dev?: boolean
  readonly peer?: boolean
  readonly optional?: boolean
  readonly cpu?: ReadonlyArray<string>
  readonly os?: ReadonlyArray<string>
  readonly libc?: ReadonlyArray<string>
  readonly optionalDependencies?: Record<string, string>
}

interface Lock {
  readonly packages: Record<string, Entry>
}

const path = fileURLToPath(new URL("../../package-lock.json", import.meta.url))

const systems = ["android", "darwin", "freebsd", "linux", "openbsd", "openharmony", "win32"]
const processors = ["arm64", "arm", "ia32", "loong64", "ppc64", "riscv64", "s390x", "wasm32", "x64"]

/** What a platform binary is for, by its name: such names end in system, processor and C library. */
const platformOf = (name: string) => {
  const words = name.split(/[/-]/)
  const os = systems.filter((system) => words.includes(system))
  const cpu = processors.filter((processor) => words.includes(processor)).slice(0, 1)
  const libc = words.includes("musl") ? ["musl"] : words.some((word) => word.startsWith("gnu")) ? ["glibc"] : []
  return { cpu, os, ...(libc.length > 0 && { libc }) }
}

/** The optional dependencies that the lock file has no entry for. */
export const missing = (lock: Lock): ReadonlyArray<readonly [key: string, entry: Entry]> =>
  Object.values(lock.packages).flatMap(({ dev, optionalDependencies = {}, peer }) =>
    Object.entries(optionalDependencies)
      .map(([name, version]) => [`node_modules/${name}`, name, version] as const)
      .filter(([key]) => !(key in lock.packages))
      .map(
        ([key, name, version]) =>
          [
            key,
            {
              version: version.replace(/^[\^~]/, ""),
              ...platformOf(name),
              ...(dev === true && { dev }),
              optional: true,
              ...(peer === true && { peer }),
            },
          ] as const,
      ),
  )

export const read = (): Lock => JSON.parse(readFileSync(path, "utf8"))

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lock = read()
  const packages = { ...lock.packages, ...Object.fromEntries(missing(lock)) }
  const sorted = Object.fromEntries(Object.entries(packages).toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
  writeFileSync(path, `${JSON.stringify({ ...lock, packages: sorted }, undefined, 2)}\n`)
}
