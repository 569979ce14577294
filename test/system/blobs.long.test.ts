/** Values larger than memory in the built package: constant memory, and durable after `kill -9`. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { start } from 'keelson'
import { expect, onTestFinished, test } from 'vitest'
import { threadBlobHost } from '../../dist/storage/threads/thread-blob-host.js'
import { childProgram } from '../support/commands/child-program.ts'
import { tempFolder } from '../support/temp-folder.ts'

/** 2 GB: `KEELSON_TIER=all KEELSON_STREAM_MB=2048 npx vitest run test/system/blobs.long.test.ts`. */
const megabytes = Number(process.env.KEELSON_STREAM_MB ?? 512)
const size = megabytes * 1024 * 1024
const growthMax = 100 * 1024 * 1024

/** Runs the program until it reports its stream. After `write` it kills the program. */
const streamed = async (dir: string, mode: 'write' | 'read' | 'both') => {
  const said = { idle: 0, length: 0, sha256: '', peak: 0 }
  const child = childProgram('blob-stream.mjs', [dir, mode, String(size)], (line) => {
    const [word, ...facts] = line.split(' ')
    if (word === 'idle') said.idle = Number(facts[0])
    if (word !== 'streamed') return
    said.length = Number(facts[0])
    said.sha256 = facts[1] ?? ''
    said.peak = Number(facts[2])
    if (mode === 'write') child.process.kill('SIGKILL')
  })
  const end = await child.ended
  expect(end, child.stderr()).toEqual(
    mode === 'write' ? { code: null, signal: 'SIGKILL' } : { code: 0, signal: null },
  )
  return said
}

/** Each answers the length that came out, and the growth of memory meanwhile. */
const ways = {
  'survive kill -9 after the ack': async () => {
    const dir = tempFolder()
    const written = await streamed(dir, 'write')
    const read = await streamed(dir, 'read')
    expect([written.length, read.sha256]).toEqual([size, written.sha256])
    return { ...read, growth: Math.max(written.peak - written.idle, read.peak - read.idle) }
  },
  'go in and then out in one process': async () => {
    const said = await streamed(tempFolder(), 'both')
    return { ...said, growth: said.peak - said.idle }
  },
}

test.each(Object.entries(ways))(
  `${megabytes} MB stream in and out in constant memory, and %s`,
  async (_, way) => {
    const { length, growth } = await way()
    expect(length).toBe(size)
    if (process.env.KEELSON_STREAM_MB) process.stdout.write(`growth in bytes: ${growth}\n`)
    expect(growth).toBeLessThan(growthMax)
  },
  60_000 + megabytes * 1_000,
)

test('the memory of a stream’s piece goes to the thread and comes back', async () => {
  const host = threadBlobHost()
  onTestFinished(() => host.end())
  const dir = join(tempFolder(), 'blobs')
  await host.run('open', { dir, segmentBytes: 1024 * 1024, opening: 1 })
  const { stream } = await host.run('streamOpen', null)
  let memory: Buffer = Buffer.alloc(100_000, 'memory ')
  for (let pieces = 1; pieces <= 3; pieces++) {
    const bytes = memory.subarray(0, 90_000)
    const answer = await host.run('streamWrite', { stream, bytes, isGiven: true })
    expect([answer.length, answer.bytes.buffer.byteLength]).toEqual([pieces * 90_000, 100_000])
    expect(memory.length).toBe(0)
    memory = Buffer.from(answer.bytes.buffer)
  }
  const { ref } = await host.run('streamFinish', { stream })
  const { reading } = await host.run('readOpen', { ref, from: 0, to: ref.size })
  const read = await host.run('readNext', { reading, bytes: memory, isGiven: true })
  expect([read.bytes.length, read.bytes.buffer.byteLength]).toEqual([65_536, 100_000])
  expect(memory.length).toBe(0)
})

test('large values through threads: put, read back, streamed, and still there after a restart', async () => {
  const dir = tempFolder()
  const blobs = { threshold: 10_000, graceMs: 0, sweepMs: 0 }
  const app = await start({ dir, blobs })
  const value = (at: number) => Buffer.alloc(300_000 + at, `value ${at} `)
  await Promise.all(Array.from({ length: 20 }, (_, at) => app.store.put(`k${at}`, value(at))))
  for (let at = 0; at < 20; at++)
    expect(value(at).equals(app.store.get(`k${at}`) as Buffer)).toBe(true)
  const whole = Buffer.concat([value(1), value(2)])
  await app.store.append('k1', value(2))
  expect(whole.equals((await app.store.load('k1')) as Buffer)).toBe(true)
  // The thread gets a copy, so the caller keeps its bytes.
  const mine = value(3)
  await app.store.put('mine', mine)
  expect(mine.equals(value(3))).toBe(true)
  const { sha256 } = await app.store.putStream('stream', [value(4), value(5)])
  expect(sha256).toBe(createHash('sha256').update(value(4)).update(value(5)).digest('hex'))
  await app.close()

  const again = await start({ dir, blobs: { ...blobs, threshold: 0 } })
  expect(whole.equals(again.store.get('k1') as Buffer)).toBe(true)
  expect(value(19).equals(again.store.get('k19') as Buffer)).toBe(true)
  await again.close()
})

test('many large values put at once read back as they were, in this process and the next', async () => {
  const dir = tempFolder()
  const value = (at: number) => Buffer.alloc(300_000 + ((at * 77_777) % 2_000_000), `value ${at} `)
  const keys = Array.from({ length: 90 }, (_, at) => at)
  const app = await start({ dir })
  await Promise.all(keys.map((at) => app.store.put(`k${at}`, value(at))))
  const isThere = async ({ store }: typeof app, at: number) =>
    value(at).equals((await store.load(`k${at}`)) as Buffer)
  for (const at of keys) expect(await isThere(app, at), `k${at}`).toBe(true)
  await app.close()

  const again = await start({ dir })
  for (const at of keys) expect(await isThere(again, at), `k${at}`).toBe(true)
  await again.close()
})
