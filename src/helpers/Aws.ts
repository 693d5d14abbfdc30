/**
 * What AWS' programs ask a `credential_process`, version 1; and how a token is made into what they want: by
 * AssumeRoleWithWebIdentity of AWS STS, which trusts the token's issuer. It is a public call, which nobody signs.
 */
import { type Answer, isSayable, said, unsayable } from "./Handout.ts"

/** The temporary keys of a role. */
export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  /** As STS writes it, in RFC 3339. */
  readonly expiration: string
}

/** What is asked of STS. */
export interface Role {
  readonly arn: string
  readonly sessionName: string
  readonly seconds: number
}

/** The ARN of a role, in whichever part of AWS. */
export const isRoleArn = (text: string): boolean => /^arn:aws[a-z-]*:iam::\d{12}:role\/[\x21-\x7e]{1,512}$/.test(text)

export const isSessionName = (text: string): boolean => /^[\w+=,.@-]{2,64}$/.test(text)

export const isRegion = (text: string): boolean => /^[a-z]{2,}(?:-[a-z]+)+-\d{1,2}$/.test(text)

/** How long a role can be had. */
export const shortest = 900
export const longest = 43_200

/** Where STS is; without a region the one for all of them, which is there in AWS proper only. */
export const endpointOf = (region: string | undefined): string => {
  if (region === undefined) return "https://sts.amazonaws.com/"
  return `https://sts.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}/`
}

/** The body of the request. */
export const bodyOf = ({ arn, seconds, sessionName }: Role, token: string): string =>
  new URLSearchParams({
    Action: "AssumeRoleWithWebIdentity",
    Version: "2011-06-15",
    RoleArn: arn,
    RoleSessionName: sessionName,
    DurationSeconds: String(seconds),
    WebIdentityToken: token,
  }).toString()

const entities: { readonly [name: string]: string } = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }

/** What is in the one element of that name, if it is text. */
const textIn = (xml: string, element: string): string | undefined => {
  const [, text] = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml) ?? []
  return text?.trim().replace(/&(amp|lt|gt|quot|apos);/g, (_, name) => entities[name] ?? "")
}

/** The keys in an answer of STS; none where it is not one. */
export const parseKeys = (xml: string): Keys | undefined => {
  const [, credentials = ""] = /<Credentials>([\s\S]*?)<\/Credentials>/.exec(xml) ?? []
  const accessKeyId = textIn(credentials, "AccessKeyId") ?? ""
  const secretAccessKey = textIn(credentials, "SecretAccessKey") ?? ""
  const sessionToken = textIn(credentials, "SessionToken") ?? ""
  const expiration = textIn(credentials, "Expiration") ?? ""
  const isWhole =
    /^\w{16,128}$/.test(accessKeyId) &&
    isSayable(secretAccessKey) &&
    isSayable(sessionToken) &&
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/.test(expiration)
  return isWhole ? { accessKeyId, secretAccessKey, sessionToken, expiration } : undefined
}

/** What STS says that is wrong, by its code, such as `AccessDenied`. */
export const parseError = (xml: string): string | undefined => {
  const code = textIn(xml, "Code")
  return code !== undefined && /^[A-Za-z.]{1,80}$/.test(code) ? code : undefined
}

/** The answer to the program. */
export const answer = ({ accessKeyId, expiration, secretAccessKey, sessionToken }: Keys): Answer =>
  [accessKeyId, secretAccessKey, sessionToken].every(isSayable)
    ? said(
        `${JSON.stringify({
          Version: 1,
          AccessKeyId: accessKeyId,
          SecretAccessKey: secretAccessKey,
          SessionToken: sessionToken,
          Expiration: expiration,
        })}\n`,
      )
    : unsayable
