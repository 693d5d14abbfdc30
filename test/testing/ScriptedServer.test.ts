import * as ScriptedServer from "../../src/testing/ScriptedServer.ts"
import { suite } from "./ScriptedProviderContract.ts"

suite("on a socket", ScriptedServer.layer)
