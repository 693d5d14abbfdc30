/**
 * A token from the store, where all is in order: it is good for long enough, nobody wants to hear of it, and nothing has
 * to be mended or refused. Reads what {@link TokenStoreFile} writes, and that only.
 */
import { isUtf8 } from "node:buffer"
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readFileSync, type Stats } from "node:fs"
import { isAddress } from "../domain/AccountText.ts"
import { refreshOutcomes, rotations } from "../domain/RecordWords.ts"
import { followerIn } from "../broker/FollowerName.ts"
import { groupOrOthersMayDoAnything, uid } from "../system/Ownership.ts"
import { escaped, longest } from "../system/SafeName.ts"
import * as Configuration from "./Configuration.ts"
import { isMaybe, isObject, isString, isText, type JsonObject } from "./Json.ts"
import type { Places } from "./Places.ts"
import { scopesIn } from "../domain/ScopeText.ts"
import type { Wish } from "./Wish.ts"

/** The version of an account's file that is understood here. */
export const version = 2

/** What is left of a token's life when it is handed out, in milliseconds, unless the wish says otherwise. */
export const minimumValidity = 30_000

/** Longer than any record. */
const largest = 1024 * 1024

/** Ours, and nobody else's in any way. */
const isPrivate = ({ mode, uid: owner }: Stats): boolean => owner === uid() && (mode & groupOrOthersMayDoAnything) === 0

const isPrivateFolder = (path: string): boolean => {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  return stats !== undefined && stats.isDirectory() && isPrivate(stats)
}

/** Whether nobody follows what happens to logins. */
const isUnheard = (folder: string): boolean =>
  lstatSync(folder, { throwIfNoEntry: false }) === undefined ||
  readdirSync(folder).every((name) => followerIn(name) === undefined)

const key = Buffer.from('"refreshToken":"')
const quote = 0x22
const isPlain = (byte: number) => byte > 0x20 && byte < 0x7f && byte !== 0x5c
const blank = 0x78

/**
 * Blanks the refresh token where it is, so that no text is ever made of it: this program does not close its memory to others,
 * as the whole one does. Undefined if it is not written as one usually is.
 */
const blanked = (bytes: Buffer): Buffer | undefined => {
  const at = bytes.indexOf(key)
  if (at === -1) return bytes
  const begin = at + key.length
  const end = bytes.indexOf(quote, begin)
  if (end <= begin || !bytes.subarray(begin, end).every(isPlain)) {
    bytes.fill(0)
    return undefined
  }
  return bytes.fill(blank, begin, end)
}

const isBlank = (value: unknown) => typeof value === "string" && /^x+$/.test(value)

const read = (path: string): unknown => {
  // What is at its path is what is read: no link is followed.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  const stats = fstatSync(descriptor)
  const isOurs = stats.isFile() && isPrivate(stats) && stats.size <= largest
  const bytes = isOurs ? blanked(readFileSync(descriptor)) : undefined
  closeSync(descriptor)
  return bytes !== undefined && isUtf8(bytes) ? JSON.parse(bytes.toString("utf8")) : undefined
}

const isInstant = (value: unknown): value is string =>
  typeof value === "string" &&
  /^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value) &&
  !Number.isNaN(Date.parse(value))

const isAttempt = (value: unknown): boolean =>
  isObject(value) && isInstant(value["at"]) && Number.isSafeInteger(value["pid"]) && isString(value["refreshTokenHash"])

const isStanding = (value: unknown): boolean => {
  if (!isObject(value)) return false
  switch (value["_tag"]) {
    case "Good":
      return true
    case "Sent":
    case "Suspect":
      return isAttempt(value["attempt"])
    case "Refused":
      return isInstant(value["at"]) && isMaybe(value["lost"], isAttempt)
    default:
      return false
  }
}

const knownOutcomes = new Set<unknown>(refreshOutcomes)
const knownRotations = new Set<unknown>(rotations)

const isLast = (value: unknown): boolean =>
  isObject(value) &&
  isInstant(value["at"]) &&
  knownOutcomes.has(value["outcome"]) &&
  isMaybe(value["attempt"], isAttempt)

const isBackOff = (value: unknown): boolean => {
  if (!isObject(value)) return false
  const { from, until } = value
  return isInstant(from) && isInstant(until)
}

const isHistory = (value: unknown): boolean =>
  isObject(value) &&
  Number.isSafeInteger(value["epoch"]) &&
  isStanding(value["standing"]) &&
  knownRotations.has(value["rotation"]) &&
  Number.isSafeInteger(value["failures"]) &&
  isMaybe(value["last"], isLast) &&
  isMaybe(value["backOff"], isBackOff)

const isGranter = (value: unknown): boolean =>
  isObject(value) &&
  isString(value["server"]) &&
  isString(value["clientId"]) &&
  isMaybe(value["tokenEndpoint"], isString)

/** The token in a file, if it is the account's and everything else in there is as it should be. */
const tokenIn = (file: unknown, wish: Wish) => {
  const { bucket, provider } = wish
  if (!isObject(file) || file["version"] !== version || "providerVersion" in file) return undefined
  if (file["provider"] !== provider || file["bucket"] !== bucket) return undefined
  if (!isInstant(file["since"]) || !isMaybe(file["grantedBy"], isGranter) || !isHistory(file["history"])) {
    return undefined
  }
  const { token } = file
  if (!isObject(token) || !isMaybe(token["refreshToken"], isBlank)) return undefined
  const { accessToken, expiresAt, extras, scope, tokenType } = token
  if (!isText(accessToken) || !isString(tokenType) || !isObject(extras)) return undefined
  if (expiresAt !== undefined && !isInstant(expiresAt)) return undefined
  if (scope !== undefined && !isString(scope)) return undefined
  // Which of them are public is for the provider's record to say.
  if (wish.isOfAll === true && Object.keys(extras).length > 0) return undefined
  return { accessToken, tokenType, scope, expiresAt }
}

/** What is to be said of the token that is wished for; undefined where it is for the whole program to say something. Throws likewise. */
export const find = (wish: Wish, places: Places, config: JsonObject): string | undefined => {
  // Elsewhere the whole program has something to say of locks, or nobody knows whose a file is.
  if (process.platform !== "linux" && process.platform !== "darwin") return undefined
  const { bucket, provider } = wish
  // Of what has told itself where to log in, more is kept than the account.
  if (isAddress(provider) || !Configuration.isSilentOn(config, provider)) return undefined
  if (!isUnheard(places.eventsDirectory)) return undefined
  const [folder, name] = [provider, bucket].map((text) => escaped(Buffer.from(text)))
  if (folder === undefined || name === undefined || folder.length > longest || name.length > longest) return undefined
  const accounts = places.accountsDirectory
  if (!isPrivateFolder(accounts) || !isPrivateFolder(`${accounts}/${folder}`)) return undefined
  const token = tokenIn(read(`${accounts}/${folder}/${name}.json`), wish)
  if (token === undefined) return undefined
  const { accessToken, expiresAt, scope, tokenType } = token
  const until = expiresAt === undefined ? undefined : Date.parse(expiresAt)
  const now = performance.timeOrigin + performance.now()
  if (until !== undefined && until <= now + (wish.minimumValidity ?? minimumValidity)) return undefined
  const answer = wish.answer({
    accessToken,
    expiresAt: until === undefined ? undefined : until / 1000,
    tokenType,
    scopes: scopesIn(scope),
    extras: {},
  })
  return answer._tag === "Said" ? answer.stdout : undefined
}
