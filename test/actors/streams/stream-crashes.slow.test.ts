/**
 * A kill or a power cut at any I/O operation of appends, closes, trims and deletes. What was
 * acknowledged is there, whole and in order, at its offset, and nothing that a reader got is taken back.
 */
import { expect, test } from 'vitest'
import type { App, StreamHandle } from '../../../src/index.ts'
import { rowClassOf } from '../../../src/storage/index.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

const options = {
  lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20 },
}

const messagesOf = async (stream: StreamHandle<string>) => {
  const found: { value: string; offset: string }[] = []
  for await (const message of stream.read({ live: false })) found.push({ ...message })
  return found
}

const stored = (app: App, ...classes: readonly string[]): number => {
  const { overlay, projection } = (app.shards[0] as App['shards'][0]).view().layers
  const keys = new Set<string>()
  for (const [key, row] of [...projection.range({}), ...overlay.range({})])
    if (row) keys.add(key)
    else keys.delete(key)
  return [...keys].filter((key) => classes.includes(rowClassOf(key) ?? '')).length
}

/** What a life has sent, and what it knows to be durable. */
type Told = {
  /** Of `log`, in the order of the calls: each message, and its offset once acknowledged. */
  readonly sent: { readonly value: string; offset: string | undefined }[]
  isClosed: boolean
  isTrimmed: boolean
  trimmedTo: number
  isDeleted: boolean
  /** What a live reader of `log` got. */
  readonly read: string[]
}

const story = async (app: App, told: Told): Promise<void> => {
  const log = app.streams.open<string>('log')
  const other = app.streams.open<string>('other')
  const reading = (async () => {
    for await (const { value } of log.read()) told.read.push(value)
  })()
  reading.catch(() => undefined)
  let number = 0
  const append = async (): Promise<void> => {
    const value = `${number++} ${'x'.repeat((number * 97) % 900)}`
    const entry = { value, offset: undefined as string | undefined }
    told.sent.push(entry)
    entry.offset = await log.append(value)
  }
  for (let round = 0; round < 6; round++) {
    const some = Array.from({ length: 6 }, append)
    const beside = other.append(`${round}`, { id: 'p', epoch: 0, seq: round })
    await Promise.all([...some, beside])
  }
  told.isTrimmed = true
  await log.trim(told.sent[11]?.offset as string)
  told.trimmedTo = 12
  told.isDeleted = true
  await other.delete()
  await append()
  const entry = { value: 'last', offset: undefined as string | undefined }
  told.sent.push(entry)
  told.isClosed = true
  entry.offset = await log.close('last')
  await reading
}

type End = 'kill' | 'power cut'

/** Answers the number of I/O operations of a life that was not ended. */
const live = async (crashAt: number | undefined, end: End): Promise<number> => {
  const world = machine()
  const { clock, disk, during } = world
  let app = await world.start(options)
  const first = disk.calls
  if (crashAt !== undefined) disk.inject({ at: crashAt, fault: { kind: 'halt' } })
  const told: Told = {
    sent: [],
    read: [],
    isClosed: false,
    isTrimmed: false,
    trimmedTo: 0,
    isDeleted: false,
  }
  let isWhole = false
  await during(
    story(app, told).then(() => (isWhole = true)),
    500,
  ).catch(() => undefined)
  const acknowledged = told.sent.filter(({ offset }) => offset !== undefined).length
  const { trimmedTo } = told
  await clock.advance(1_000)
  const calls = disk.calls - first
  disk.halt()
  await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
  await during(app.system.stop()).catch(() => undefined)
  if (end === 'power cut') disk.crash()
  disk.clearFaults()
  disk.killProcess()

  app = await world.start(options)
  const log = app.streams.open<string>('log')
  const found = await during(messagesOf(log))
  const head = await during(log.head())
  const floor = told.isTrimmed && found[0]?.value.startsWith('12 ') ? 12 : 0
  // Every message is at its place, whole, in the order of the calls: a prefix of them.
  expect(found.map(({ value }) => value)).toEqual(
    told.sent.slice(floor, floor + found.length).map(({ value }) => value),
  )
  expect(floor + found.length).toBeGreaterThanOrEqual(acknowledged)
  expect(floor).toBeGreaterThanOrEqual(trimmedTo)
  for (const [at, { offset }] of found.entries())
    expect([undefined, offset]).toContain(told.sent[floor + at]?.offset)
  expect(floor + found.length).toBeGreaterThanOrEqual(told.read.length)
  expect(told.read).toEqual(told.sent.slice(0, told.read.length).map(({ value }) => value))
  // Closed is in one unit with the last message.
  const hasLast = found.at(-1)?.value === 'last'
  expect(head?.isClosed ?? false).toBe(hasLast)
  if (isWhole) expect(hasLast).toBe(true)
  // A deleted stream leaves no row, sooner or later.
  await clock.advance(5_000)
  expect(stored(app, 'removal')).toBe(0)
  const other = await during(app.streams.open('other').head())
  expect(stored(app, 'streamProducer')).toBe(other ? 1 : 0)
  expect(stored(app, 'streamHead')).toBe((other ? 1 : 0) + (head ? 1 : 0))
  if (!told.isDeleted && told.sent.length > 12) expect(other).toBeDefined()
  // Life goes on: a producer that repeats its last request doubles nothing.
  if (other) {
    const stream = app.streams.open<string>('other')
    const before = await during(messagesOf(stream))
    const seq = before.length - 1
    if (seq >= 0) await during(stream.append('again', { id: 'p', epoch: 0, seq }))
    expect(await during(messagesOf(stream))).toEqual(before)
  }
  await during(app.close())
  return calls
}

test.each<[End]>([['kill'], ['power cut']])(
  'whatever I/O operation is the last one before a %s, what was acknowledged and read is there',
  { tags: ['ST1', 'ST6', 'ST8', 'ST10'], timeout: 600_000 },
  async (end) => {
    const calls = await live(undefined, end)
    expect(calls).toBeGreaterThan(20)
    for (let at = 1; at <= calls; at++) await live(at, end)
  },
)
