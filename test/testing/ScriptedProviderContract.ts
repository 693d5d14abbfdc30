/**
 * What the scripted provider must do, in process or on a socket: seen through nothing but `fetch`.
 */
import { describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import type { Options } from "../../src/testing/AuthorizationServer.ts"
import type { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import * as BehaviourContract from "./BehaviourContract.ts"
import * as FlowContract from "./FlowContract.ts"
import * as LoginContract from "./LoginContract.ts"
import * as RequestContract from "./RequestContract.ts"

/** Registers a test, which has a server of its own. */
export type Test = <A, E>(title: string, effect: Effect.Effect<A, E, ScriptedProvider>, options?: Options) => void

export const suite = <E>(name: string, layer: (options: Options) => Layer.Layer<ScriptedProvider, E>) =>
  describe(`the scripted provider ${name}`, () => {
    const test: Test = (title, effect, options = {}) => it.live(title, () => Effect.provide(effect, layer(options)))
    LoginContract.suite(test)
    BehaviourContract.suite(test)
    FlowContract.suite(test)
    RequestContract.suite(test)
  })
