import { describe, it } from "@effect/vitest"
import { providerContract, scriptedEmulator } from "tokenkeep/testing"
import acme from "./acme.ts"

describe("acme", () => {
  for (const { name, run } of providerContract(acme, { emulator: scriptedEmulator(acme) })) it.effect(name, () => run)
})
