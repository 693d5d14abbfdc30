import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as HostBinding from "../../src/helpers/HostBinding.ts"

const { bindingFor, hostFor, hostOf, hostOfUrl } = HostBinding

describe("a host", () => {
  it("is written in one way", () => {
    assert.strictEqual(hostOf("GitHub.com"), "github.com")
    assert.strictEqual(hostOf("github.com:443"), "github.com")
    assert.strictEqual(hostOf("git.example:8443"), "git.example:8443")
    assert.strictEqual(hostOf("[2001:db8::1]:8443"), "[2001:db8::1]:8443")
  })

  for (const text of [
    "",
    ".",
    "github.com.",
    ".github.com",
    "*.github.com",
    "github.com/",
    "github.com:",
    "github.com:0",
    "github.com:65536",
    "github.com:80:80",
    "alice@github.com",
    "github.com%0d%0ahost=evil",
    "github.com\n",
    "github.com\0",
    "github.com evil",
    "gıthub.com",
    "ＧitHub.com",
    "\u212Aube.example",
    "-x.example",
    "::1",
    "a".repeat(254),
  ]) {
    it(`is not ${JSON.stringify(text).slice(0, 40)}`, () => assert.isUndefined(hostOf(text)))
  }

  it("is reached over https, and over http on this machine with its port", () => {
    assert.strictEqual(hostFor("https", "github.com"), "github.com")
    assert.strictEqual(hostFor("http", "127.0.0.1:8080"), "127.0.0.1:8080")
    assert.strictEqual(hostFor("http", "localhost"), "localhost:80")
    assert.strictEqual(hostFor("http", "localhost:443"), "localhost:443")
    assert.strictEqual(hostFor("http", "[::1]:8080"), "[::1]:8080")
    assert.isUndefined(hostFor("http", "github.com"))
    assert.isUndefined(hostFor("http", "127.0.0.1.evil.example:8080"))
    assert.isUndefined(hostFor("http", "localhost.evil.example"))
    for (const protocol of ["", "ssh", "HTTPS", "https ", "cert", "file"]) {
      assert.isUndefined(hostFor(protocol, "github.com"))
    }
  })

  it("is found in an address without a user name", () => {
    assert.strictEqual(hostOfUrl("https://K8s.example:6443/clusters/a"), "k8s.example:6443")
    assert.strictEqual(hostOfUrl("http://127.0.0.1:8001"), "127.0.0.1:8001")
    for (const url of [
      "https://k8s.example@evil.example",
      "https://k8s.example\\@evil.example",
      "http://k8s.example",
      "k8s.example",
      "https://",
      "https://k8s.example/\n",
    ]) {
      assert.isUndefined(hostOfUrl(url), url)
    }
  })
})

describe("what a host is bound to", () => {
  const hosts = {
    "github.com": "github",
    "ghcr.io": "github:work",
    "bitbucket.org": "bitbucket",
    "git.example": { account: "gitlab", username: "ci" },
    "127.0.0.1:8080": "local",
  }

  it("is one account, said by the configuration", () => {
    assert.deepStrictEqual(bindingFor(hosts, {}, "ghcr.io"), {
      host: "ghcr.io",
      account: "github:work",
      username: "oauth2",
    })
    assert.strictEqual(bindingFor(hosts, {}, "bitbucket.org")?.username, "x-token-auth")
    assert.strictEqual(bindingFor(hosts, {}, "git.example")?.username, "ci")
    assert.strictEqual(bindingFor(hosts, { username: "me" }, "git.example")?.username, "me")
  })

  it("goes to nobody who is typed as another account", () => {
    assert.isDefined(bindingFor(hosts, { account: "github" }, "github.com"))
    assert.isDefined(bindingFor(hosts, { account: "github:default" }, "github.com"))
    assert.isUndefined(bindingFor(hosts, { account: "github" }, "ghcr.io"))
    assert.isUndefined(bindingFor(hosts, { account: "gitlab" }, "github.com"))
  })

  it("is what the command line says, where it names hosts, and that only", () => {
    assert.strictEqual(bindingFor({}, { account: "a", hosts: ["GIT.example"] }, "git.example")?.account, "a")
    assert.isUndefined(bindingFor(hosts, { account: "github", hosts: ["git.example"] }, "github.com"))
    assert.isUndefined(bindingFor(hosts, { hosts: ["github.com"] }, "github.com"))
    assert.isUndefined(bindingFor({}, { account: "a", hosts: ["*"] }, "git.example"))
  })

  for (const host of [
    "github.com.evil.example",
    "evil-github.com",
    "api.github.com",
    "com",
    "__proto__",
    "constructor",
    "",
  ]) {
    it(`is nothing for ${host}`, () => assert.isUndefined(bindingFor(hosts, {}, host)))
  }

  it("is nothing for any host that is not written there", () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string()), (host) => {
        const found = bindingFor(hosts, {}, hostOf(host) ?? "")
        return found === undefined || Object.hasOwn(hosts, found.host)
      }),
    )
  })

  it("is read from whatever the configuration says, and what makes no sense is named", () => {
    const read = HostBinding.read({
      "github.com": "github",
      "GitHub.com": "github",
      "*.example": "github",
      "a.example": 1,
      "b.example": { account: "b", username: "with:colon" },
      "c.example": { account: "c", username: "x" },
      "d.example": "",
    })
    assert.deepStrictEqual(
      HostBinding.bindings(read.hosts).map(({ host }) => host),
      ["github.com", "c.example"],
    )
    assert.deepStrictEqual(read.mistakes, ["GitHub.com", "*.example", "a.example", "b.example", "d.example"])
    assert.deepStrictEqual(HostBinding.read(["github.com"]).mistakes, ["hosts"])
    assert.deepStrictEqual(HostBinding.read(undefined), { hosts: {}, mistakes: [] })
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const host of Object.keys(HostBinding.read(value).hosts)) assert.strictEqual(hostOf(host), host)
      }),
    )
  })
})
