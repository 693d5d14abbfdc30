/**
 * What a credential helper has to work with. Nothing in this folder loads Effect: a helper is started by git, kubectl and
 * others for every single request, and most of its short life would be spent on loading code.
 */

/** A token on its way to another program. */
export interface Handout {
  readonly accessToken: string
  /** Seconds since the epoch. Without it the provider has named no expiry. */
  readonly expiresAt: number | undefined
  readonly tokenType: string
  readonly scopes: ReadonlyArray<string>
  /** Fields that the provider's record lists as public. */
  readonly extras?: { readonly [name: string]: unknown }
}

/** What a helper prints, or why it prints nothing. */
export type Answer =
  | { readonly _tag: "Said"; readonly stdout: string }
  | { readonly _tag: "Refused"; readonly why: string }

export const said = (stdout: string): Answer => ({ _tag: "Said", stdout })

export const refused = (why: string): Answer => ({ _tag: "Refused", why })

/**
 * Whether a secret can be said on a line or in a header without becoming anything else there: visible ASCII, with spaces
 * inside at most. RFC 6749 appendix A.12 has no token with more.
 */
export const isSayable = (secret: string): boolean => /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(secret)

/** What is said in place of a secret that is not {@link isSayable}. */
export const unsayable = refused(
  "The provider's token has characters that no token has, such as a line end. Nothing was handed out; the provider, or its record, is not in order.",
)

/** Whole seconds since the epoch, up to the last one of the last year that RFC 3339 can write. */
export const wholeSeconds = (seconds: number): number =>
  Math.min(Math.max(Math.floor(seconds) || 0, 0), 253_402_300_799)

const twoDigits = (number: number) => String(number).padStart(2, "0")

/**
 * RFC 3339, in seconds, as the programs read it that ask for it. The day is counted in years that begin with March, of which
 * the last day is the leap day (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
 */
export const timestamp = (seconds: number): string => {
  const whole = wholeSeconds(seconds)
  const day = Math.floor(whole / 86_400) + 719_468
  const era = Math.floor(day / 146_097)
  const dayOfEra = day - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const march = Math.floor((5 * dayOfYear + 2) / 153)
  const month = march < 10 ? march + 3 : march - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const date = [
    String(year).padStart(4, "0"),
    twoDigits(month),
    twoDigits(dayOfYear - Math.floor((153 * march + 2) / 5) + 1),
  ]
  const time = [Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60].map(twoDigits)
  return `${date.join("-")}T${time.join(":")}Z`
}
