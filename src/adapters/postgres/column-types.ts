/**
 * How the text form of a column becomes a value. `pg` has one table of parsers for all clients of a
 * process, and an application may replace them: `pg.types.setTypeParser(3802, …)`. Ours are given
 * to each of our connections. Pure.
 */

type Parser = (text: string) => unknown

/** `\x00ff`, or the older form, in which `\000` and `\\` stand for what is no plain character. */
const bytesOf: Parser = (text) => {
  if (text.startsWith('\\x')) return Buffer.from(text.slice(2), 'hex')
  const plain = text.replace(/\\(?:([0-3][0-7]{2})|\\)/g, (_, octal?: string) =>
    octal === undefined ? '\\' : String.fromCharCode(Number.parseInt(octal, 8)),
  )
  return Buffer.from(plain, 'latin1')
}

const number: Parser = Number

/**
 * By the number of the type in `pg_type`. A `bigint` stays a text, as it may be more than a number
 * holds; `numberIn` of `database.ts` makes a number of it.
 */
const parsers: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [16, (text) => text === 't'],
  [17, bytesOf],
  // int2, int4, oid, float4, float8
  [21, number],
  [23, number],
  [26, number],
  [700, number],
  [701, number],
  // json, jsonb
  [114, (text) => JSON.parse(text)],
  [3802, (text) => JSON.parse(text)],
])

const asText: Parser = (text) => text

/** For the option `types` of a client of `pg` that asks for text only. */
export const columnTypes = {
  getTypeParser: (type: number): Parser => parsers.get(type) ?? asText,
}
