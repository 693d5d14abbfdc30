import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as fc from "fast-check"
import * as ConfigFile from "../../src/broker/ConfigFile.ts"
import type { ProviderDefinition } from "../../src/oauth/Provider.ts"
import { resolve } from "../../src/oauth/ProviderResolution.ts"
import { builtIn } from "../../src/providers/BuiltIn.ts"

const hub: ProviderDefinition = {
  name: "hub",
  record: {
    endpoints: { token: "https://hub.example/token", deviceAuthorization: "https://hub.example/device" },
    scopes: ["read"],
    flows: ["device_code"],
    api: { baseUrl: "https://api.hub.example", headers: { "x-version": "1" } },
  },
  dialect: { answer: (answer) => answer },
}
const whole: ProviderDefinition = { name: "whole", record: { ...hub.record, clientId: "public" } }

const resolved = (name: string, said?: Schema.Json) => {
  const resolution = resolve(name, said, [hub, whole])
  assert(resolution._tag === "Resolved")
  return resolution.resolved
}

describe("a provider's record", () => {
  it("is what is known of it, where nothing is configured", () => {
    assert.strictEqual(resolved("whole").record.clientId, "public")
    assert.deepStrictEqual(resolve("other", undefined, [hub]), { _tag: "Unknown" })
  })

  it("is what is configured, over what is known: endpoint by endpoint, list by list", () => {
    const { dialect, record } = resolved("hub", {
      clientId: "mine",
      scopes: ["read", "write"],
      endpoints: { token: "https://hub.example/new/token" },
      api: { headers: { "x-version": "2" } },
    })
    assert.deepStrictEqual(record.scopes, ["read", "write"])
    assert.deepStrictEqual(record.endpoints, {
      token: "https://hub.example/new/token",
      deviceAuthorization: "https://hub.example/device",
    })
    assert.deepStrictEqual(record.api, { baseUrl: "https://api.hub.example", headers: { "x-version": "2" } })
    assert.strictEqual(dialect, hub.dialect)
  })

  it("shows nothing to the server that is known, once the configuration has another one give the tokens", () => {
    const api = { baseUrl: "https://hub.example/api", hosts: ["files.hub.example"] }
    const revocation = "https://hub.example/revoke"
    const authorization = "https://people.example/login"
    const known = { ...hub.record, api, endpoints: { token: "https://hub.example/token", authorization, revocation } }
    const at = (said: Schema.JsonObject) => {
      const resolution = resolve("hub", { clientId: "mine", ...said }, [{ name: "hub", record: known }])
      assert(resolution._tag === "Resolved")
      return resolution.resolved.record
    }
    const token = "https://moved.example/token"
    const moved = at({ endpoints: { token } })
    assert.deepStrictEqual(moved.endpoints, { token, authorization })
    assert.deepStrictEqual(moved.api, { hosts: ["files.hub.example"] })
    assert.isUndefined(at({ issuer: "https://moved.example" }).endpoints)
    // Whatever is said by name is as it is said.
    assert.strictEqual(at({ endpoints: { token, revocation } }).endpoints?.revocation, revocation)
    assert.strictEqual(at({ endpoints: { authorization: "https://x.example/a" } }).endpoints?.revocation, revocation)
  })

  it("shows no third server what is granted by one that the configuration has put in the place of the known one", () => {
    const token = "https://ghe.example/token"
    const moved = resolve("work", { extends: "copilot", endpoints: { token } }, builtIn)
    assert(moved._tag === "Resolved")
    assert.deepStrictEqual(moved.resolved.record.endpoints, { token })
    // To say where the issuer is, and not where its tokens are, leaves no endpoint to send anything to.
    const issuer = "https://moved.example"
    const endpoints = { authorization: "https://moved.example/authorize" }
    assert.strictEqual(resolve("whole", { issuer, endpoints }, [whole])._tag, "Malformed")
  })

  it("may build on another of a different name", () => {
    const { dialect, record } = resolved("work", { extends: "hub", clientId: "mine" })
    assert.deepStrictEqual(record.scopes, ["read"])
    assert.strictEqual(dialect, hub.dialect)
  })

  for (const [what, name, said, expected] of [
    ["without a client id", "hub", undefined, { _tag: "Incomplete", missing: ["clientId"] }],
    [
      "that builds on nothing",
      "work",
      { extends: "nowhere", clientId: "x" },
      { _tag: "Malformed", mistakes: ["extends: nothing that is built in, and no plugin, has this name"] },
    ],
    ["that is no object", "work", "text", { _tag: "Malformed", mistakes: ["it is no object"] }],
    [
      "with mistakes in it",
      "whole",
      { flows: ["magic"], clientSecret: "hunter2" },
      {
        _tag: "Malformed",
        mistakes: [
          'clientSecret: expected where the secret is, {"env": NAME} or {"file": PATH}, never the secret itself',
          'flows.0: Expected "pkce_redirect" | "device_code" | "browser_redirect"',
        ],
      },
    ],
    [
      "with a field that nobody knows",
      "whole",
      { clientID: "x" },
      { _tag: "Malformed", mistakes: ["clientID: there is no such field"] },
    ],
    [
      "with a field that is spelled wrong, and so is missing",
      "work",
      { extends: "hub", client_id: "x" },
      { _tag: "Malformed", mistakes: ["client_id: there is no such field", "clientId: it is missing"] },
    ],
    [
      "of its own that lacks something",
      "own",
      { clientId: "x", flows: ["device_code"], scopes: [] },
      { _tag: "Malformed", mistakes: ["give an issuer or the endpoints"] },
    ],
  ] as const) {
    it(`${what} is not one`, () => {
      assert.deepStrictEqual(resolve(name, said, [hub, whole]), expected)
    })
  }

  it("is found or not, whatever is configured", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (said) => {
        const json = Schema.decodeUnknownSync(Schema.Json)(said)
        assert.include(["Resolved", "Incomplete", "Malformed"], resolve("hub", json, [hub])._tag)
      }),
    )
  })
})

describe("the configuration", () => {
  const decode = Schema.decodeUnknownSync(ConfigFile.ConfigFile)
  const list = decode({ providers: ["./mine.ts", { name: "hub", clientId: "x" }, "an-npm-package"], other: 1 })
  const object = decode({ providers: { hub: { clientId: "x" } }, other: 1 })

  it("may be a list, with plugins among the records", () => {
    assert.deepStrictEqual([...ConfigFile.records(list)], [["hub", { clientId: "x" }]])
    assert.deepStrictEqual(ConfigFile.plugins(list), ["./mine.ts", "an-npm-package"])
    assert.deepStrictEqual(ConfigFile.plugins(object), [])
    assert.deepStrictEqual([...ConfigFile.records(decode({}))], [])
  })

  for (const [what, config] of [
    ["a list", list],
    ["an object", object],
  ] as const) {
    it(`keeps all else when a record in ${what} is replaced, added or removed`, () => {
      const more = ConfigFile.withRecord(ConfigFile.withRecord(config, "hub", { clientId: "y" }), "new", {
        clientId: "z",
      })
      assert.deepStrictEqual(
        [...ConfigFile.records(more)],
        [
          ["hub", { clientId: "y" }],
          ["new", { clientId: "z" }],
        ],
      )
      assert.deepStrictEqual(ConfigFile.plugins(more), ConfigFile.plugins(config))
      const less = ConfigFile.withRecord(ConfigFile.withRecord(more, "new"), "nobody")
      assert.deepStrictEqual([...ConfigFile.records(less).keys()], ["hub"])
      assert.strictEqual(less["other"], 1)
    })
  }
})
