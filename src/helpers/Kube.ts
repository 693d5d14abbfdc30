/**
 * What kubectl and other clients of Kubernetes ask an `exec` plugin: `ExecCredential` of client.authentication.k8s.io.
 */
import { type Answer, type Handout, isSayable, said, timestamp, unsayable } from "./Handout.ts"
import { hostOfUrl } from "./HostBinding.ts"

const group = "client.authentication.k8s.io"

/** The versions that are spoken. */
export const apiVersions = [`${group}/v1`, `${group}/v1beta1`] as const
export type ApiVersion = (typeof apiVersions)[number]

export interface Asked {
  readonly _tag: "Asked"
  readonly apiVersion: ApiVersion
  /** The host of the cluster: none if it was not said, `undefined` in it if it is none that a token may go to. */
  readonly cluster: { readonly host: string | undefined } | undefined
}

export interface Refused {
  readonly _tag: "Refused"
  readonly why: string
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined

const refusedOf = (why: string): Refused => ({ _tag: "Refused", why })

/** Reads what `KUBERNETES_EXEC_INFO` says, as JSON that was read already; `undefined` where it is not set. */
export const parse = (info: unknown): Asked | Refused => {
  if (info === undefined) return { _tag: "Asked", apiVersion: apiVersions[0], cluster: undefined }
  const asked = fieldOf(info, "apiVersion")
  const apiVersion = apiVersions.find((version) => version === asked)
  if (apiVersion === undefined || fieldOf(info, "kind") !== "ExecCredential") {
    return refusedOf(
      `KUBERNETES_EXEC_INFO asks for something else than ExecCredential in ${apiVersions.join(" or ")}. Set the apiVersion of this user's exec in the kubeconfig to one of these.`,
    )
  }
  const cluster = fieldOf(fieldOf(info, "spec"), "cluster")
  if (cluster === undefined || cluster === null) return { _tag: "Asked", apiVersion, cluster: undefined }
  const server = fieldOf(cluster, "server")
  return {
    _tag: "Asked",
    apiVersion,
    cluster: { host: typeof server === "string" ? hostOfUrl(server) : undefined },
  }
}

/** The credential, in the version that was asked for. */
export const answer = ({ apiVersion }: Asked, { accessToken, expiresAt }: Handout): Answer =>
  isSayable(accessToken)
    ? said(
        `${JSON.stringify({
          apiVersion,
          kind: "ExecCredential",
          status: {
            token: accessToken,
            ...(expiresAt !== undefined && { expirationTimestamp: timestamp(expiresAt) }),
          },
        })}\n`,
      )
    : unsayable
