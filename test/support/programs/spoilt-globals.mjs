// An application that has changed all state that it shares with the packages that Keelson uses, and then loads Keelson.
// Arguments: `values`; or a folder, and `spoilt` or `plain`, and `dies` or `closes`. Reports on pipe 3 what differs.
import { EventEmitter } from 'node:events'
import { writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { inspect, isDeepStrictEqual } from 'node:util'

const require = createRequire(import.meta.url)
class Money {
  constructor(cents) {
    this.cents = cents
  }
}

const classes = [
  ...[Date, Map, Set, Error, RegExp, Object, Array, Number, String, BigInt, Uint8Array, Buffer],
  ...[ArrayBuffer, DataView, Function, Money],
]
/** The types of msgpackr's own extensions: dates, sets, strings, errors, references, records, bytes. */
const types = [0, 0x42, 0x62, 0x65, 0x69, 0x70, 0x73, 0x74, 0x78, 0xff]

const extend = (msgpackr) => {
  const unpack = () => 'of the extension'
  for (const [index, Class] of classes.entries())
    msgpackr.addExtension({ Class, type: index + 1, pack: () => Buffer.from('ZZ'), unpack })
  for (const type of types) msgpackr.addExtension({ type, unpack })
  msgpackr.FLOAT32_OPTIONS.NEVER = 4
}

const extendAll = async () => {
  extend(require('msgpackr'))
  extend(await import('msgpackr'))
}

const spoilNode = () => {
  EventEmitter.defaultMaxListeners = 1
  EventEmitter.captureRejections = true
  Buffer.poolSize = 1
  Error.stackTraceLimit = 0
  // As of packages that look for their caller: then `stack` is no text.
  Error.prepareStackTrace = (_, sites) => sites
  Object.assign(inspect.defaultOptions, { depth: 0, maxStringLength: 1, getters: true })
}

/** As old libraries do: members of every object, which `for … in` finds. */
const spoilPrototypes = () => {
  const visible = { enumerable: true, configurable: true, writable: true }
  for (const [name, value] of Object.entries({ extra: 1, odd: new Map() }))
    Object.defineProperty(Object.prototype, name, { ...visible, value })
  Array.prototype.last = () => 1
  for (const { prototype } of [Array, String, Number]) prototype.toJSON = () => 'of a library'
}

const spoilPackages = async () => {
  const { scheduledJobs } = await import('croner')
  scheduledJobs.push({ name: undefined })
  const { EventEmitter: Bus } = await import('eventemitter3')
  Bus.prefixed = 'x'
  const refuse = () => {
    throw new Error('of the application')
  }
  globalThis.__xstate__ = { services: new Set(), register: refuse, onRegister: refuse }
  const { default: pg } = await import('pg')
  Object.assign(pg.defaults, { binary: true, parseInt8: true, query_timeout: 1 })
}

const values = {
  date: new Date(1234567890123),
  map: new Map([
    [1, new Date(7)],
    ['x', new Set([1])],
  ]),
  set: { set: new Set([1, 'a']) },
  bigint: { large: 2n ** 62n, small: -5n },
  bytes: { bytes: Buffer.of(1, 2), more: [Buffer.alloc(300)] },
  number: { zero: -0, none: Number.NaN, half: 1.5 },
  object: { constructor: 'a name', toJSON: 1, inner: [1, null, true, {}] },
  text: { text: 'é😀'.repeat(100) },
}

const [where, how, end] = process.argv.slice(2)
const found = []
const compare = (name, read) => {
  let value
  try {
    value = read()
    if (isDeepStrictEqual(value, values[name])) return
  } catch (error) {
    value = error.code
  }
  found.push(`${name}: ${String(value)}`)
}

if (where === 'values') {
  await extendAll()
  const { eventPayload, readEventPayload } = await import('keelson/journal')
  const packed = {}
  for (const name of Object.keys(values)) packed[name] = eventPayload(values[name])
  await extendAll()
  for (const name of Object.keys(values)) {
    const again = Buffer.from(eventPayload(values[name]))
    if (!again.equals(packed[name])) found.push(`${name} is written otherwise`)
    compare(name, () => readEventPayload(packed[name]).value)
  }
  // The application's own module is as the application made it.
  const { pack, unpack } = require('msgpackr')
  if (unpack(pack(new Money(1))) !== 'of the extension') found.push('the application lost its own')
} else {
  if (how === 'spoilt') {
    await extendAll()
    spoilNode()
    await spoilPackages()
    spoilPrototypes()
  }
  const { start, supervisor } = await import('keelson')
  const logger = { info() {}, warn() {}, error() {} }
  const tree = supervisor('app', {}, [])
  const app = await start({ dir: where, app: tree, logger })
  const isFirst = app.store.get('written') === undefined
  if (isFirst) for (const name of Object.keys(values)) await app.store.put(name, values[name])
  await app.store.put('written', true)
  for (const name of Object.keys(values)) compare(name, () => app.store.get(name))
  await app.control.flushAll()
  for (const name of Object.keys(values)) compare(name, () => app.store.get(name))
  await app.store.put('optional', 1, { owner: 'me' })
  const { entries } = app.store.range({ prefix: 'opt' })
  if (entries.length !== 1) found.push(`a range has ${entries.length}`)
  await app.control.snapshotAll({ timeoutMs: 60_000 })
  await app.backup(`${where}-backup-${how}-${end}`, { consistent: true })
  const refused = await app.store.put('money', { money: new Money(1) }).catch((error) => error.code)
  if (refused !== 'INVALID_ARGUMENT') found.push(`a class: ${refused}`)
  if (end === 'dies') {
    writeSync(3, `${found.join('; ') || 'the same'}\n`)
    process.kill(process.pid, 'SIGKILL')
  }
  await app.close()
}
writeSync(3, `${found.join('; ') || 'the same'}\n`)
