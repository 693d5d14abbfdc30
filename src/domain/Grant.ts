/**
 * What a peer may do that is not the host itself: which accounts and API keys, which operations, for whom, for how long,
 * and how often. Pure.
 */
import { DateTime, Equal, Option, Schema } from "effect"
import { type AccountKey, AccountKeyFromString } from "./AccountKey.ts"
import { AccountPatternFromString, matches, matchesAccount, matchesProvider } from "./NamePattern.ts"

/** What can be granted on accounts; `login` is all that a login takes. Lists and counts go with any of them. */
export const Permission = Schema.Literals(["get_token", "refresh_token", "save_token", "remove_token", "login"])
export type Permission = typeof Permission.Type

/** What is granted unless something else is said: tokens, and nothing that changes what the host has. */
export const usualPermissions: ReadonlyArray<Permission> = ["get_token", "refresh_token"]

/** What a person calls the peer. */
export const Label = Schema.NonEmptyString.check(
  Schema.isMaxLength(100),
  Schema.makeFilter((text) => !/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(text) || "must be one line of printable text"),
)

/** The name of an API key, or a pattern with `*`. */
export const KeyPattern = Schema.NonEmptyString.check(Schema.isMaxLength(200))

/** The number of a user, as the kernel of the host sees it. */
export const Uid = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_fffe }))

/** How often something secret may be handed out. */
export const Uses = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))

/** One thing that a peer may want to do. */
export const Wish = Schema.TaggedUnion({
  /** An operation on an account. */
  Account: { permission: Permission, account: AccountKeyFromString },
  /** Reading an API key. */
  ApiKey: { name: Schema.NonEmptyString },
})
export type Wish = typeof Wish.Type

/** The parts of a grant that a person decides about. */
export const Terms = Schema.Struct({
  label: Label,
  accounts: Schema.Array(AccountPatternFromString),
  keys: Schema.Array(KeyPattern),
  permissions: Schema.Array(Permission),
  /** What a person allowed besides, when the peer asked for it. */
  approved: Schema.Array(Wish),
  /** Who may connect; `any` where the kernel's word means nothing, as behind a virtual machine. */
  uids: Schema.Union([Schema.Literal("any"), Schema.NonEmptyArray(Uid)]),
  expiresAt: Schema.optionalKey(Schema.DateTimeUtcFromString),
  /** Tokens and keys that may still be handed out; any number if absent. */
  usesLeft: Schema.optionalKey(Uses),
})
export type Terms = typeof Terms.Type

/** A grant, as it is shown. */
export const PublicGrant = Schema.Struct({
  /** Its name among all grants; no secret. */
  id: Schema.String.check(Schema.isPattern(/^[0-9a-f]{8}$/)),
  ...Terms.fields,
  /** Where it is to be used. */
  transport: Schema.Literals(["unix", "tcp"]),
  /** Whether it is there again after the host was started anew. */
  isKept: Schema.Boolean,
  createdAt: Schema.DateTimeUtcFromString,
})
export type PublicGrant = typeof PublicGrant.Type

/** A grant, as the host has it. */
export const Grant = Schema.Struct({
  ...PublicGrant.fields,
  /** SHA-256 of the capability that a peer must show, in hexadecimal; absent if reaching the socket is enough. */
  capabilityHash: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/))),
})
export type Grant = typeof Grant.Type

/** Whether nothing more can be had with a grant, at an instant in epoch milliseconds. */
export const isOver = ({ expiresAt, usesLeft }: Terms, now: number): boolean =>
  usesLeft === 0 || (expiresAt !== undefined && DateTime.toEpochMillis(expiresAt) <= now)

/** Whether somebody of this user may connect; where the kernel does not say who it is, only if anybody may. */
export const admits = ({ uids }: Terms, uid: Option.Option<number>): boolean =>
  uids === "any" || Option.exists(uid, (number) => uids.includes(number))

/** Whether it is granted. */
export const permits = (terms: Terms, wish: Wish): boolean => {
  const byRule =
    wish._tag === "Account"
      ? terms.permissions.includes(wish.permission) && matchesAny(terms, wish.account)
      : terms.keys.some((pattern) => matches(pattern, wish.name))
  return byRule || terms.approved.some((approved) => Equal.equals(approved, wish))
}

const matchesAny = ({ accounts }: Terms, account: AccountKey): boolean =>
  accounts.some((pattern) => matchesAccount(pattern, account))

/** Whether anything is granted on the account, so that the peer may know of it. */
export const sees = (terms: Terms, account: AccountKey): boolean =>
  matchesAny(terms, account) ||
  terms.approved.some((wish) => wish._tag === "Account" && Equal.equals(wish.account, account))

/** Whether any account of the provider may be known. */
export const seesProvider = (terms: Terms, provider: string): boolean =>
  terms.accounts.some((pattern) => matchesProvider(pattern.provider, provider)) ||
  terms.approved.some((wish) => wish._tag === "Account" && wish.account.provider === provider)

/** The terms with one more thing that a person allowed. */
export const approve = <T extends Terms>(terms: T, wish: Wish): T =>
  permits(terms, wish) ? terms : { ...terms, approved: [...terms.approved, wish] }

/** The terms with more or fewer things to hand out, where those are counted. */
export const countUses = <T extends Terms>(terms: T, change: 1 | -1): T =>
  terms.usesLeft === undefined ? terms : { ...terms, usesLeft: Math.max(0, terms.usesLeft + change) }
