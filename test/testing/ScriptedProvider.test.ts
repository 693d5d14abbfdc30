import { ScriptedProvider } from "../../src/testing/ScriptedProvider.ts"
import { suite } from "./ScriptedProviderContract.ts"

suite("in process", ScriptedProvider.layer)
