/**
 * How a vendor departs from the RFCs where its record cannot say it as data: two small pure functions around sending. Our
 * side of both is as RFC 6749, 7009 and 8628 have it; the vendor's is whatever it is.
 *
 * They see secrets as the wire does, in clear, so they must not keep or print anything.
 */
import type { BodyEncoding, Call, ProviderRecord } from "./ProviderRecord.ts"
import type { JsonObject } from "./JsonObject.ts"

/** A request, before its body is written. */
export interface VendorRequest {
  readonly call: Call
  readonly method: "GET" | "POST"
  readonly url: string
  readonly headers: { readonly [name: string]: string }
  readonly encoding: BodyEncoding
  /** The body. A GET has none: of these nothing is sent, but `answer` sees them. */
  readonly parameters: { readonly [name: string]: string }
  /** Of one that `answer` asks for: the answer, as ours, if none comes. What was granted before it is not lost then. */
  readonly otherwise?: VendorAnswer
}

/** An answer whose body is a JSON object, or empty. Names of headers are in lower case. */
export interface VendorAnswer {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly body: JsonObject
}

export interface Dialect {
  /** The vendor's request in place of ours. */
  readonly request?: (request: VendorRequest, record: ProviderRecord) => VendorRequest
  /**
   * Our answer in place of the vendor's; or, as it takes one more, the request to send next, as it is. `to` is the request
   * that was sent. At most three are sent in a row.
   */
  readonly answer?: (answer: VendorAnswer, to: VendorRequest, record: ProviderRecord) => VendorAnswer | VendorRequest
}

/** The dialect of the RFCs. */
export const standard: Dialect = {}
