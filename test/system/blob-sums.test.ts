/** A second thread sums up what is written: real threads, real files. What is read back was verified, so it was summed right. */
import { once } from 'node:events'
import { join } from 'node:path'
import { start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { AssistedSums } from '../../dist/storage/blobs/assisted-sums.js'
import { Blobs } from '../../dist/storage/blobs/blobs.js'
import { PromptSums } from '../../dist/storage/blobs/payload-sums.js'
import { SumBoard, words } from '../../dist/storage/blobs/sum-board.js'
import { nodeDisk } from '../../dist/storage/disk/node-disk.js'
import { beginSums, benchIn, sumsMemory } from '../../dist/storage/threads/sum-assistant.js'
import { seededRandom } from '../../src/clock.ts'
import { tempFolder } from '../support/temp-folder.ts'

const seed = Number(process.env.KEELSON_SEED ?? process.pid)
const MiB = 1024 * 1024

const bytesOf = (number: number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length).fill(number)
  new DataView(bytes.buffer).setFloat64(0, number)
  bytes[length - 1] = number ^ 0x55
  return bytes
}

/** A folder of blobs on the machine's disk, whose sums a thread works out, and that thread. */
const assisted = (patienceMs: number) => {
  const shared = sumsMemory()
  const sums = new AssistedSums(shared, patienceMs)
  const thread = beginSums(shared, sums)
  if (!thread) throw new Error('there was no thread')
  // It begins without anything from this side.
  Atomics.wait(new SumBoard(shared).words, words.isReady, 0, 30_000)
  const memory = benchIn(shared)
  const prompt = new PromptSums(memory)
  const bench = {
    memory,
    pieces: 4,
    pieceBytes: memory.length / 4,
    sumsFor: () => (sums.isAssisted ? sums : prompt),
  }
  const blobs = new Blobs(nodeDisk(), bench)
  blobs.handle('open', { dir: join(tempFolder(), 'blobs'), segmentBytes: 64 * MiB, life: 1 })
  return { sums, thread, blobs }
}

/** Puts payloads and reads them back. */
const roundTrip = (blobs: Blobs, payloads: readonly Uint8Array[]): void => {
  const { refs } = blobs.handle('put', { payloads })
  for (const [at, ref] of refs.entries()) {
    const { reading } = blobs.handle('readOpen', { ref, from: 0, to: ref.size })
    const { bytes, done } = blobs.handle('readNext', { reading, bytes: new Uint8Array(ref.size) })
    expect(done).toBe(true)
    expect(Buffer.compare(bytes, payloads[at] as Uint8Array), `seed ${seed}, ${at}`).toBe(0)
  }
}

describe('sums of a second thread', () => {
  test('are right for payloads of all sizes, alone and many together', async () => {
    const { sums, thread, blobs } = assisted(20_000)
    const random = seededRandom(seed)
    const some = (count: number, most: number) =>
      Array.from({ length: count }, (_, at) => bytesOf(at + 1, 10 + Math.floor(random() * most)))
    for (let round = 0; round < 10; round++) roundTrip(blobs, some(1, 3 * MiB))
    roundTrip(blobs, some(20, MiB))
    roundTrip(blobs, some(200, 5_000))
    roundTrip(blobs, [bytesOf(1, 40 * MiB)])
    expect(sums.isAssisted).toBe(true)
    sums.giveUp()
    await once(thread, 'exit')
    roundTrip(blobs, some(3, MiB))
    blobs.abandon()
  })

  test('are done without when the thread dies, also in the middle of a put', async () => {
    const { sums, thread, blobs } = assisted(200)
    roundTrip(blobs, [bytesOf(1, MiB)])
    // It dies when it likes: what is put meanwhile is put all the same.
    const ended = thread.terminate()
    for (let number = 2; number < 6; number++) roundTrip(blobs, [bytesOf(number, 8 * MiB)])
    await ended
    roundTrip(blobs, [bytesOf(7, MiB)])
    expect(sums.isAssisted).toBe(false)
    blobs.abandon()
  })
})

test('many large values at once are read back as they were put, by this process and the next', async () => {
  const dir = tempFolder()
  const value = (at: number) =>
    Buffer.from(bytesOf(at % 256, 300_000 + ((at * 77_777) % (2 * MiB))))
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
