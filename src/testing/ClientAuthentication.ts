/**
 * Who is calling the token endpoint (RFC 6749 section 2.3): by a header or by the body, and by one of them only.
 */
import { Option, Redacted, Result } from "effect"
import { Base64 } from "effect/encoding"
import { type Asked, problem, type Reply } from "./Exchange.ts"

export interface Client {
  readonly id: string
  /** None: a public client. */
  readonly secret: Option.Option<Redacted.Redacted>
}

/** What is wrong, if anything is. */
export const refusal = (
  { authorization }: Pick<Asked, "authorization">,
  parameters: URLSearchParams,
  client: Client,
): Option.Option<Reply> => {
  if (authorization !== undefined && parameters.has("client_secret")) return Option.some(problem("invalid_request"))
  const { id, secret } =
    authorization === undefined
      ? { id: parameters.get("client_id"), secret: parameters.get("client_secret") }
      : basic(authorization)
  const expected = Option.match(client.secret, { onNone: () => null, onSome: Redacted.value })
  if (id === client.id && secret === expected) return Option.none()
  // RFC 6749 section 5.2: who tried with the header is told which scheme is supported.
  const challenge = authorization === undefined ? {} : { "www-authenticate": 'Basic realm="tokenkeep-testing"' }
  return Option.some(problem("invalid_client", 401, challenge))
}

const nobody = { id: null, secret: null }

/** Both parts are form-encoded before they are joined, so that a colon in them does not part them. */
const basic = (authorization: string) => {
  const [, encoded = ""] = /^basic +(\S+)$/i.exec(authorization) ?? []
  return Base64.decode(encoded).pipe(
    Result.map((bytes) => new TextDecoder().decode(bytes).split(":")),
    Result.flatMap(([id = "", ...rest]) =>
      Result.try(() => ({ id: formDecode(id), secret: rest.length === 0 ? null : formDecode(rest.join(":")) })),
    ),
    Result.getOrElse(() => nobody),
  )
}

const formDecode = (text: string) => decodeURIComponent(text.replaceAll("+", " "))
