/**
 * Device codes (RFC 8628): asked for by a client, decided by a person elsewhere, good for one login.
 */
import { Duration } from "effect"
import type { Will } from "./AuthorizationCodes.ts"

interface Device {
  readonly code: string
  readonly expiresAt: number
  will: Will | "undecided"
  polls: number
}

/** In seconds. */
export const lifetime = 600

/** In seconds; kept short, because tests wait for it. */
export const interval = 1

export const make = () => {
  const byUserCode = new Map<string, Device>()
  const byCode = new Map<string, Device>()

  return {
    begin: (code: string, userCode: string, now: number): void => {
      const expiresAt = now + Duration.toMillis(Duration.seconds(lifetime))
      const device: Device = { code, expiresAt, will: "undecided", polls: 0 }
      byUserCode.set(userCode, device)
      byCode.set(code, device)
    },

    decide: (userCode: string, will: Will): void => {
      const device = byUserCode.get(userCode)
      if (device !== undefined) device.will = will
    },

    /** A poll: `granted`, or the error. Who is not asked, but always has the same answer, gives it at the second poll. */
    poll: (code: string, person: Will | "absent", now: number): string => {
      const device = byCode.get(code)
      if (device === undefined) return "invalid_grant"
      if (now >= device.expiresAt) return "expired_token"
      device.polls++
      if (person !== "absent" && device.polls > 1) device.will = person
      if (device.will === "undecided") return "authorization_pending"
      byCode.delete(code)
      return device.will === "grants" ? "granted" : "access_denied"
    },
  }
}

export type DeviceCodes = ReturnType<typeof make>
