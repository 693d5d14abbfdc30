/**
 * A login that was begun, as it may be shown: its texts come from a provider, and perhaps through a host that is not ours.
 */
import { DateTime, type Duration, Option } from "effect"
import type { InitiatedLogin } from "../../broker/Broker.ts"
import type { AccountKey } from "../../domain/AccountKey.ts"
import { oneLine, printable } from "../../domain/RemoteText.ts"
import * as SecureUrl from "../../oauth/SecureUrl.ts"
import { type FlowName, nameOf } from "../FlowName.ts"

export interface ShownLogin {
  readonly flow: FlowName
  readonly account: string
  /** What the person opens; none, if it is not an address that may be opened. */
  readonly address: Option.Option<string>
  /** What they open and type, if a code is entered. */
  readonly device: Option.Option<{ readonly code: string; readonly address: Option.Option<string> }>
  readonly notice: Option.Option<string>
  readonly expiresIn: Duration.Duration
  readonly expiresAt: DateTime.Utc
}

const href = (url: string) => Option.map(SecureUrl.parse(url), (address) => address.href)

export const make = (begun: InitiatedLogin, account: AccountKey, now: DateTime.Utc): ShownLogin => ({
  flow: nameOf[begun.flowType],
  account: printable(account.toString()),
  address: href(begun.authUrl),
  device:
    begun.flowType === "device_code"
      ? Option.map(begun.device, ({ userCode, verificationUri }) => ({
          code: printable(userCode),
          address: href(verificationUri),
        }))
      : Option.none(),
  notice: Option.map(begun.notice, oneLine),
  expiresIn: begun.expiresIn,
  expiresAt: DateTime.addDuration(now, begun.expiresIn),
})
