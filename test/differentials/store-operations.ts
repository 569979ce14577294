/**
 * Random operations on a store, at the bounds of keys, values and blobs. Each has its values from the seed alone, so that two
 * stores can be asked the same.
 */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { Store } from 'keelson'
import { KeelsonError } from 'keelson'

/** From so many bytes on a value is a blob. */
export const blobBytes = 65_536

/** Makes the value anew for each store, and overwrites it once the call has returned. */
export type Giving = <T>(value: T) => T

/** One operation, and what it is called in a report. */
export type Operation = {
  readonly name: string
  readonly ask: (store: Store, give: Giving) => unknown
}

const keys = [
  ...['a', 'b', 'ns:x', 'ns:y', '{t}1', '{t}2', 'c\x01d', '\uffff', '\u{10000}'],
  ...['\u{1F600}'.repeat(3), 'é'.repeat(512), 'z'.repeat(1_024)],
]
const fields = ['f', 'g'.repeat(512), '\u{1F600}']
const letters = ['x', 'é', '\u{1F600}', '\ufffd', 'aé']
const sizes = [
  ...[0, 1, 5, 11, 12, 13, 100, 4_095, 4_096, 4_097, 8_191, 8_192, 16_384, 32_768],
  ...[blobBytes - 1, blobBytes, blobBytes + 1, 131_072, 262_143, 262_144, 300_000],
]
const offsets = [0, 1, 4_096, blobBytes, blobBytes + 10, 200_000]

/** The keys that `operation` writes, which are none of fields. */
export const allKeys = [...keys, ...keys.map((key) => `${key}U`)]
export const fieldKeys = keys.map((key) => `${key}F`)

/** The next operation of a seed. */
export const operation = (random: () => number): Operation => {
  const below = (end: number): number => Math.floor(random() * end)
  const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T
  const bytes = (): Uint8Array => {
    const made = Buffer.alloc(pick(sizes))
    let at = below(2 ** 30) | 1
    for (let index = 0; index < made.length; index++) {
      at = Math.imul(at, 1_103_515_245) + 12_345
      made[index] = at >>> 16
    }
    return made
  }
  const text = (): string => {
    const [size, letter] = [pick(sizes), pick(letters)]
    return letter.repeat(Math.ceil(size / Buffer.byteLength(letter)))
  }
  const structured = () => ({
    count: below(1_000),
    bytes: new Uint8Array(bytes().subarray(0, 5_000)),
    map: new Map([[1, 'é'.repeat(below(3_000))]]),
    large: 2n ** 63n - 1n,
    list: Array.from({ length: below(2_000) }, (_, index) => index * 1.5),
  })
  const any = () => pick([bytes, bytes, bytes, text, structured])()
  const [key, value, other] = [pick(keys), any(), any()]
  const [part, offset] = [pick([bytes, text])(), pick(offsets)]
  const parts = [bytes(), bytes(), bytes()]
  const [first, second, field] = [pick(keys), pick(keys), pick(fields)]
  const ways: Readonly<Record<string, Operation['ask']>> = {
    put: (store, give) => store.put(key, give(value)),
    'put again': (store, give) => store.put(key, give(other)),
    append: (store, give) => store.append(key, give(part)),
    setRange: (store, give) => store.setRange(key, offset, give(part)),
    set: (store, give) => store.set(key, give(value), { get: true }),
    getSet: (store, give) => store.getSet(key, give(value)),
    'compareAndSet of nothing': (store, give) => store.compareAndSet(key, undefined, give(value)),
    compareAndSet: (store, give) => store.compareAndSet(key, give(other), give(value)),
    delete: (store) => store.delete(key),
    putMany: (store, give) =>
      store.putMany([
        [first, give(value)],
        [second, give(other)],
        [first, give(other)],
      ]),
    putField: (store, give) => store.putField(`${key}F`, field, give(value)),
    batch: (store, give) =>
      store.batch().put('{t}1', give(value)).append('{t}2', give(part)).commit(),
    putStream: (store, give) => store.putStream(key, Readable.from(parts.map(give))),
    'getRange, whose answer is overwritten': (store) => {
      const found = store.getRange(key, offset, offset + 5_000)
      const kept = Buffer.from(found)
      found.fill(0xdd)
      return kept
    },
    'get, whose answer is overwritten': (store) => {
      const found = store.get(key)
      const kept = shown(found)
      overwritten(found)
      return kept
    },
    update: (store) =>
      store.update(`${key}U`, (found: { count: number } | undefined) => ({
        count: (found?.count ?? 0) + 1,
      })),
  }
  const name = pick(Object.keys(ways))
  return { name, ask: ways[name] as Operation['ask'] }
}

/** A value of its own, in one of three memories of bytes. */
export const copied = <T>(value: T, random: () => number): T => {
  if (!(value instanceof Uint8Array)) return structuredClone(value)
  const { length } = value
  const around = new Uint8Array(length + 32)
  const memories = [Buffer.alloc(length), new Uint8Array(length), around.subarray(16, 16 + length)]
  const memory = memories[Math.floor(random() * memories.length)] as Uint8Array
  memory.set(value)
  return memory as T
}

/** Changes a value that a store was given, or has given, as its caller may. */
export const overwritten = (value: unknown): void => {
  if (value instanceof Uint8Array) value.fill(0xee)
  else if (value instanceof Map) value.clear()
  else if (Array.isArray(value)) value.length = 0
  else if (typeof value === 'object' && value !== null)
    for (const name of Object.keys(value)) {
      overwritten((value as Record<string, unknown>)[name])
      ;(value as Record<string, unknown>)[name] = -1
    }
}

/** Where an answer stands, which two stores may say differently. */
const places = new Set(['position', 'positions', 'until'])

/** An answer without its places, and with digests of what is long. */
export const shown = (answer: unknown): unknown => {
  if (answer instanceof Uint8Array) return `${answer.length} bytes ${digest(answer)}`
  if (typeof answer === 'string')
    return answer.length < 20 ? answer : `${answer.length} ${digest(answer)}`
  if (answer instanceof Map) return { map: shown([...answer]) }
  if (Array.isArray(answer)) {
    const list = answer.map(shown)
    return list.length < 50 ? list : `${list.length} items ${digest(JSON.stringify(list))}`
  }
  if (typeof answer !== 'object' || answer === null) return answer
  return Object.fromEntries(
    Object.entries(answer)
      .filter(([name]) => !places.has(name))
      .map(([name, each]) => [name, shown(each)]),
  )
}

const digest = (of: Uint8Array | string): string => createHash('sha1').update(of).digest('hex')

/** What a call comes to: its answer, or its code. */
export const outcome = async (ask: () => unknown): Promise<unknown> => {
  try {
    return shown(await ask())
  } catch (error) {
    if (error instanceof KeelsonError) return `rejects with ${error.code}`
    throw error
  }
}

/** Everything that a store has, as every read of it says. */
export const everything = async (store: Store): Promise<unknown> => {
  const values: unknown[] = []
  for (const key of allKeys) {
    values.push([key, await outcome(() => store.load(key))])
    values.push(await outcome(() => store.load(key).then(overwritten)))
  }
  const range = { limit: 1_000, values: false }
  return {
    values,
    fields: await Promise.all(
      fieldKeys.map((key) => outcome(async () => store.fields(key).entries)),
    ),
    keys: store.range(range).entries.map(([key]) => key),
    reversed: store.range({ ...range, reverse: true }).entries.map(([key]) => key),
  }
}
