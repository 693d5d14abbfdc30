/**
 * How the lines of the audit log hang together: see {@link AuditEntry}. By itself, because a thread that does nothing
 * else needs no more than this.
 */

/** SHA-256 of a text in UTF-8, as 64 hexadecimal digits. */
export type Sha256 = (text: string) => string

/** Where a chain ends, or ended when somebody looked. */
export interface Tip {
  readonly seq: number
  readonly hash: string
}

/** The text of a line, but for its number and its hash: JSON, in ASCII, on one line. */
export type Body = string

/** The line that comes after `tip`, without its line end. */
export const chain = (sha256: Sha256, tip: Tip, body: Body): Tip & { readonly line: string } => {
  const seq = tip.seq + 1
  const text = `{"seq":${seq},${body}`
  const hash = sha256(tip.hash + text)
  return { seq, hash, line: `${text},"hash":"${hash}"}` }
}
