/**
 * Closes a process that holds refresh tokens to the other programs of its user: its memory cannot be read, nothing of it
 * is left behind when it crashes, nobody can start its debugger, and what it starts gets none of its descriptors. What
 * cannot be done is said, and no reason to end.
 */
import { Effect, Layer } from "effect"
import * as CLibrary from "../system/CLibrary.ts"

// <linux/prctl.h>
const PR_SET_DUMPABLE = 4
// <sys/resource.h>; the same on Linux and macOS.
const RLIMIT_CORE = 4
/** `struct rlimit`, the limit and how far it may be raised again, both 0; on no system are they longer than 64 bits. */
const nothing = new Uint8Array(16)

/** All descriptors but stdin, stdout and stderr. */
const descriptors = { first: 3, last: 0xffff_ffff } as const
const CLOSE_RANGE_CLOEXEC = 4

const close = Effect.fnUntraced(function* ({ startsPrograms }: { readonly startsPrograms: boolean }) {
  yield* Effect.sync(ignoreDebuggerSignal)
  const { platform } = process
  if (platform !== "linux" && platform !== "darwin") {
    return yield* Effect.logDebug("This operating system has no means to close the memory of a process to others.")
  }
  const { errno, library } = yield* CLibrary.open
  const attempt = (call: () => number) =>
    Effect.try(() => (call() === 0 ? undefined : `error ${errno()} of the system`)).pipe(
      Effect.orElseSucceed(() => "the C library has no call for it"),
    )
  const attempted = (what: string, call: () => number) =>
    Effect.flatMap(attempt(call), (why) =>
      why === undefined ? Effect.void : Effect.logWarning(`${what} was not possible: ${why}. All else works.`),
    )
  if (platform === "linux") {
    yield* attempted("Closing the memory of this process to other programs", () =>
      // Nobody but root can trace it, or open what /proc has of it; and the kernel writes no core of it.
      library.func("int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)")(
        PR_SET_DUMPABLE,
        0,
        0,
        0,
        0,
      ),
    )
  }
  // A program that is started for the person gets what the person's shell would give it.
  if (startsPrograms) return
  yield* attempted("Forbidding cores, which are files of memory after a crash,", () =>
    library.func("int setrlimit(int, const void *)")(RLIMIT_CORE, nothing),
  )
  if (platform === "linux") {
    // Node has done so to all that it opened, and to the lowest of those that it was given; old kernels can do no more.
    yield* attempt(() =>
      library.func("int close_range(unsigned int, unsigned int, int)")(
        descriptors.first,
        descriptors.last,
        CLOSE_RANGE_CLOEXEC,
      ),
    )
  }
})

/** Node starts its debugger, at a TCP port that is open to all users, when anybody sends it SIGUSR1, unless that is taken. */
const ignoreDebuggerSignal = () => process.on("SIGUSR1", () => {})

/** For a process that holds refresh tokens. Comes before whatever reads them. */
export const layer: Layer.Layer<never> = Layer.effectDiscard(close({ startsPrograms: false }))

/** The same for a process that starts a program for the person, which would inherit the limit and may want descriptors. */
export const layerForParent: Layer.Layer<never> = Layer.effectDiscard(close({ startsPrograms: true }))
