/**
 * What is said to kubectl, docker, AWS' programs, `apiKeyHelper` and a shell, against the shapes that these publish.
 */
import { spawnSync } from "node:child_process"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Schema } from "effect"
import * as fc from "fast-check"
import * as ApiKey from "../../src/helpers/ApiKey.ts"
import * as Aws from "../../src/helpers/Aws.ts"
import * as Docker from "../../src/helpers/Docker.ts"
import { type Answer, type Handout, timestamp } from "../../src/helpers/Handout.ts"
import * as Kube from "../../src/helpers/Kube.ts"
import * as Shell from "../../src/helpers/Shell.ts"
import * as TokenFormat from "../../src/helpers/TokenFormat.ts"
import { anyText } from "../support/AnyText.ts"

const handout: Handout = {
  accessToken: "token-EXAMPLE",
  expiresAt: 1_900_000_000.5,
  tokenType: "bearer",
  scopes: ["repo", "gist"],
  extras: { account_id: "é" },
}

const stdoutOf = (answer: Answer): string => {
  if (answer._tag === "Refused") throw new Error(answer.why)
  return answer.stdout
}

const strict = { onExcessProperty: "error" } as const

/** kubernetes/client-go `pkg/apis/clientauthentication/v1/types.go`; what answers has no `spec`. */
const ExecCredential = Schema.Struct({
  apiVersion: Schema.Literals(["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]),
  kind: Schema.Literal("ExecCredential"),
  status: Schema.Struct({
    token: Schema.NonEmptyString,
    expirationTimestamp: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/))),
  }),
})

/** docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html */
const ProcessCredentials = Schema.Struct({
  Version: Schema.Literal(1),
  AccessKeyId: Schema.NonEmptyString,
  SecretAccessKey: Schema.NonEmptyString,
  SessionToken: Schema.NonEmptyString,
  Expiration: Schema.String.check(Schema.isPattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)),
})

const info = (spec: unknown, apiVersion = "client.authentication.k8s.io/v1") => ({
  apiVersion,
  kind: "ExecCredential",
  spec,
})

const understood = (value: unknown) => {
  const asked = Kube.parse(value)
  if (asked._tag === "Refused") throw new Error(asked.why)
  return asked
}

describe("an answer to kubectl", () => {
  it("is byte for byte", () => {
    assert.strictEqual(
      stdoutOf(Kube.answer(understood(undefined), handout)),
      '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"token-EXAMPLE","expirationTimestamp":"2030-03-17T17:46:40Z"}}\n',
    )
  })

  for (const apiVersion of Kube.apiVersions) {
    it(`has the shape of ${apiVersion}`, () => {
      const asked = understood(info({ interactive: true }, apiVersion))
      for (const expiresAt of [undefined, 0, 1.5, 9e15, Number.NaN, -1, Number.POSITIVE_INFINITY]) {
        const answer = stdoutOf(Kube.answer(asked, { ...handout, expiresAt }))
        const decoded = Schema.decodeUnknownSync(ExecCredential)(JSON.parse(answer), strict)
        assert.strictEqual(decoded.apiVersion, apiVersion)
      }
    })
  }

  it("knows the cluster only by a host that a token may go to", () => {
    const hostOf = (server: unknown) => understood(info({ cluster: { server } })).cluster
    assert.deepStrictEqual(hostOf("https://k8s.example:6443/x"), { host: "k8s.example:6443" })
    assert.deepStrictEqual(hostOf("http://k8s.example"), { host: undefined })
    assert.deepStrictEqual(hostOf(1), { host: undefined })
    assert.isUndefined(understood(info({ interactive: false })).cluster)
  })

  it("is refused in versions that are not spoken", () => {
    for (const other of ["client.authentication.k8s.io/v1alpha1", "v1", ""]) {
      assert.strictEqual(Kube.parse(info({}, other))._tag, "Refused")
    }
    fc.assert(fc.property(fc.jsonValue(), (value) => Kube.parse(value)._tag === "Refused"))
  })
})

describe("an answer to docker", () => {
  const binding = { host: "ghcr.io", account: "github", username: "oauth2" }

  it("is byte for byte, and names the registry as docker does", () => {
    for (const serverUrl of ["ghcr.io", "https://ghcr.io", "https://GHCR.io:443/v2/"]) {
      const registry = Docker.parse(`${serverUrl}\n`)
      assert.strictEqual(registry?.host, "ghcr.io")
      if (registry === undefined) continue
      assert.strictEqual(
        stdoutOf(Docker.answer(registry, binding, handout)),
        `{"ServerURL":"${serverUrl}","Username":"oauth2","Secret":"token-EXAMPLE"}\n`,
      )
    }
  })

  it("is none for what is no registry", () => {
    for (const text of ["", "\n", "http://ghcr.io", "ghcr.io\r\n", "ghcr.io\nevil", "a@ghcr.io", "ghcr.io\0"]) {
      assert.isUndefined(Docker.parse(text), JSON.stringify(text))
    }
    assert.isTrue(Docker.isEmpty(" \n"))
  })

  it("lists registries by their user names", () => {
    assert.strictEqual(Docker.list([binding]), '{"ghcr.io":"oauth2"}\n')
    assert.strictEqual(Docker.list([]), "{}\n")
  })
})

const xml = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <SubjectFromWebIdentityToken>amzn1.account.AF6</SubjectFromWebIdentityToken>
    <Credentials>
      <SessionToken>AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE&amp;=</SessionToken>
      <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY</SecretAccessKey>
      <Expiration>2030-10-24T23:00:23Z</Expiration>
      <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>`

describe("an answer to AWS' programs", () => {
  it("has the keys that STS gave, in the shape of version 1", () => {
    const keys = Aws.parseKeys(xml)
    if (keys === undefined) throw new Error("not understood")
    const answer = stdoutOf(Aws.answer(keys))
    assert.deepStrictEqual(Schema.decodeUnknownSync(ProcessCredentials)(JSON.parse(answer), strict), {
      Version: 1,
      AccessKeyId: "ASgeIAIOSFODNN7EXAMPLE",
      SecretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLEKEY",
      SessionToken: "AQoDYXdzEE0a8ANXXXXXXXXNO1ewxE5TijQyp+IEXAMPLE&=",
      Expiration: "2030-10-24T23:00:23Z",
    })
    assert.isTrue(answer.endsWith("}\n"))
  })

  it("needs all of them, and as keys are", () => {
    for (const element of ["SessionToken", "SecretAccessKey", "Expiration", "AccessKeyId"]) {
      assert.isUndefined(Aws.parseKeys(xml.replaceAll(element, "Other")))
      assert.isUndefined(Aws.parseKeys(xml.replace(new RegExp(`<${element}>`), `<${element}>\u001b\n`)))
    }
    fc.assert(fc.property(fc.string(), (text) => Aws.parseKeys(text) === undefined))
  })

  it("says what STS says by its code only", () => {
    const error = (code: string) =>
      `<ErrorResponse><Error><Code>${code}</Code><Message>evil</Message></Error></ErrorResponse>`
    assert.strictEqual(Aws.parseError(error("ExpiredTokenException")), "ExpiredTokenException")
    assert.isUndefined(Aws.parseError(error("\u001b[2J")))
    assert.isUndefined(Aws.parseError("no"))
  })

  it("is asked for at the STS of a region, for the role of an ARN", () => {
    assert.strictEqual(Aws.endpointOf(undefined), "https://sts.amazonaws.com/")
    assert.strictEqual(Aws.endpointOf("eu-central-1"), "https://sts.eu-central-1.amazonaws.com/")
    assert.strictEqual(Aws.endpointOf("cn-north-1"), "https://sts.cn-north-1.amazonaws.com.cn/")
    for (const region of ["evil.example/", "eu", "", "eu-central-1.evil"]) assert.isFalse(Aws.isRegion(region))
    assert.isTrue(Aws.isRegion("us-gov-west-1"))
    assert.isTrue(Aws.isRoleArn("arn:aws-cn:iam::123456789012:role/path/name"))
    assert.isFalse(Aws.isRoleArn("arn:aws:iam::1:role/x"))
    assert.isFalse(Aws.isRoleArn("arn:aws:iam::123456789012:user/x"))
    assert.strictEqual(
      Aws.bodyOf({ arn: "arn:aws:iam::123456789012:role/x", sessionName: "me@x", seconds: 900 }, "a&b"),
      "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fx&RoleSessionName=me%40x&DurationSeconds=900&WebIdentityToken=a%26b",
    )
  })
})

describe("a bare key", () => {
  it("is the key and a line end", () => {
    assert.deepStrictEqual([...Buffer.from(stdoutOf(ApiKey.answer("sk-1")))], [0x73, 0x6b, 0x2d, 0x31, 0x0a])
    for (const bad of ["", "a\n", "a\nb", "a\0"]) assert.strictEqual(ApiKey.answer(bad)._tag, "Refused")
  })
})

describe("a token", () => {
  it("is said byte for byte in each format", () => {
    const said = (format: TokenFormat.Format) => stdoutOf(TokenFormat.answer(format, "github:work", handout))
    assert.strictEqual(said("raw"), "token-EXAMPLE\n")
    assert.strictEqual(said("header"), "Authorization: Bearer token-EXAMPLE\n")
    assert.strictEqual(said("env"), "TOKENKEEP_TOKEN=token-EXAMPLE\n")
    assert.strictEqual(
      said("json"),
      '{"version":1,"account":"github:work","access_token":"token-EXAMPLE","token_type":"Bearer","expiresAt":"2030-03-17T17:46:40Z","expiresAtEpochSeconds":1900000000,"scopes":["repo","gist"],"extras":{"account_id":"\\u00e9"}}\n',
    )
  })

  it("has no expiry in JSON where there is none", () => {
    const said = JSON.parse(stdoutOf(TokenFormat.answer("json", "a", { ...handout, expiresAt: undefined })))
    assert.isFalse("expiresAt" in said || "expiresAtEpochSeconds" in said)
  })

  it("is no Bearer header where it is something else", () => {
    assert.strictEqual(TokenFormat.answer("header", "a", { ...handout, tokenType: "DPoP" })._tag, "Refused")
  })

  it("is one line in each format, or none", () => {
    fc.assert(
      fc.property(fc.constantFrom(...TokenFormat.formats), anyText(), anyText(), (format, accessToken, account) => {
        const answer = TokenFormat.answer(format, account, { ...handout, accessToken })
        return answer._tag === "Refused" || /^[\x20-\x7e]+\n$/.test(answer.stdout)
      }),
    )
    for (const name of ["", "1A", "A B", "A=1;", "A\nB"]) {
      assert.strictEqual(TokenFormat.answer("env", "a", handout, name)._tag, "Refused")
    }
  })

  it("is read by sh as it is", () => {
    const tokens = ["a'b\"c", "$(id)`id`", "a b;c|d&e", "\\a*?[x]{y}~", "=x", "#c", "-n", "!x"]
    const lines = tokens.map((accessToken, at) =>
      stdoutOf(TokenFormat.answer("env", "a", { ...handout, accessToken }, `T${at}`)),
    )
    const script = `${lines.join("")}printf '%s\\n' ${tokens.map((_, at) => `"$T${at}"`).join(" ")}`
    const { stdout } = spawnSync("sh", ["-c", script], { encoding: "utf8" })
    assert.deepStrictEqual(stdout.split("\n").slice(0, -1), tokens)
    assert.strictEqual(Shell.command(["tokenkeep", "helper", "git", "it's"]), "tokenkeep helper git 'it'\\''s'")
  })

  it("expires when JavaScript's own dates say so, in a year that RFC 3339 has", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (seconds) => {
        assert.strictEqual(
          timestamp(seconds),
          DateTime.formatIso(DateTime.makeUnsafe(seconds * 1000)).replace(".000Z", "Z"),
        )
      }),
      { numRuns: 1000 },
    )
    for (const day of ["1970-01-01", "2000-02-29", "2100-02-28", "2100-03-01", "9999-12-31"]) {
      assert.strictEqual(timestamp(Date.parse(day) / 1000), `${day}T00:00:00Z`)
    }
    fc.assert(fc.property(fc.double(), (seconds) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(timestamp(seconds))))
  })
})
