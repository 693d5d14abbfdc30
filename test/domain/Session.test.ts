import { assert, describe, it } from "@effect/vitest"
import { DateTime, Equal, Result } from "effect"
import * as Account from "../../src/domain/AccountKey.ts"
import { PeerMismatch, SessionExpired, SessionUsed } from "../../src/domain/Errors.ts"
import { Connected, inProcess } from "../../src/domain/Peer.ts"
import * as Session from "../../src/domain/Session.ts"

const at = (millis: number) => DateTime.makeUnsafe(millis)
const sessionId = "0123456789abcdef0123456789abcdef"
const owner = Connected({ uid: 1000, grant: "agent" })
const session = Session.open(sessionId, Account.make("github"), owner, at(10_000), { verifier: "held" })
const used = Session.use(session)

const before = at(9_999)
const after = at(10_000)

describe("a session", () => {
  it("may be gone on with by its own peer until its end", () => {
    const sameOwner = Connected({ uid: 1000, grant: "agent" })
    assert.deepStrictEqual(Session.check(session, sameOwner, before), Result.succeed(session))
  })

  it("is expired from its very end on", () => {
    assert.isFalse(Session.isExpired(session, before))
    assert.isTrue(Session.isExpired(session, after))
    assert.isTrue(Session.isExpired(session, at(10_001)))
  })

  for (const [who, peer] of [
    ["another user", Connected({ uid: 1001, grant: "agent" })],
    ["another grant of the same user", Connected({ uid: 1000, grant: "other" })],
    ["the program itself", inProcess],
  ] as const) {
    it(`belongs to its peer and not to ${who}`, () => {
      assert.isTrue(Equal.equals(Session.check(session, peer, before), Result.fail(PeerMismatch.make({ sessionId }))))
    })
  }

  it("is checked to be unused first, then not expired, then the peer's", () => {
    const stranger = inProcess
    const failures = [
      Session.check(used, stranger, after),
      Session.check(used, owner, before),
      Session.check(session, stranger, after),
      Session.check(session, owner, after),
    ]
    const expected = [
      SessionUsed.make({ sessionId }),
      SessionUsed.make({ sessionId }),
      SessionExpired.make({ sessionId }),
      SessionExpired.make({ sessionId }),
    ]
    assert.isTrue(Equal.equals(failures, expected.map(Result.fail)))
  })

  it("lets go of the login when it is used, and keeps the rest", () => {
    const { _tag, login, ...rest } = session
    assert.strictEqual(_tag, "Open")
    assert.strictEqual(login.verifier, "held")
    assert.deepStrictEqual(used, { _tag: "Used", ...rest })
  })
})
