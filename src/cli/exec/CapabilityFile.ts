/**
 * A capability behind a descriptor, to be inherited: a file without a name, which can be read again and again, by the
 * program that is started and by those that it starts, and which is gone with the last of them.
 */
import { closeSync, mkdirSync, openSync, unlinkSync, writeSync } from "node:fs"
import { Data, Effect, Path, Redacted } from "effect"
import { SecureRandom } from "effect/crypto"
import { Hex } from "effect/encoding"

/** The capability could not be put behind a descriptor. */
export class CapabilityNotHidden extends Data.TaggedError("CapabilityNotHidden")<{ readonly folder: string }> {
  override get message(): string {
    return `No file for the capability could be made in ${this.folder}. Check that the folder is yours, and not full.`
  }
}

/** Between its birth and the loss of its name nothing else of this process runs. */
const hide = (path: string, capability: Redacted.Redacted): number => {
  const written = openSync(path, "wx", 0o400)
  const shown = openSync(path, "r")
  unlinkSync(path)
  writeSync(written, Redacted.value(capability))
  closeSync(written)
  return shown
}

/** A descriptor that can only be read, until the scope closes. The file lives in the folder for a moment, and is empty then. */
export const open = Effect.fnUntraced(function* (folder: string, capability: Redacted.Redacted) {
  const paths = yield* Path.Path
  const random = yield* SecureRandom.SecureRandom
  const path = paths.join(folder, `.capability-${Hex.encode(yield* random.randomBytes(8))}`)
  return yield* Effect.acquireRelease(
    Effect.try({
      try: () => {
        mkdirSync(folder, { recursive: true, mode: 0o700 })
        return hide(path, capability)
      },
      catch: () => new CapabilityNotHidden({ folder }),
    }),
    (descriptor) => Effect.sync(() => closeSync(descriptor)),
  )
})
