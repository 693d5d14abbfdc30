/**
 * `[ADDRESS:]PORT` on a command line; without an address, this machine only.
 */
import { Schema, SchemaTransformation } from "effect"

const Endpoint = Schema.Struct({
  host: Schema.NonEmptyString,
  port: Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 65_535 })),
})

export const HostAndPort = Schema.String.pipe(
  Schema.decodeTo(
    Endpoint,
    SchemaTransformation.transform({
      decode: (text) => {
        const colon = text.lastIndexOf(":")
        const host = colon === -1 ? "127.0.0.1" : text.slice(0, colon)
        return { host: host.replace(/^\[(.*)\]$/, "$1"), port: text.slice(colon + 1) }
      },
      encode: ({ host, port }) => `${host}:${port}`,
    }),
  ),
)
