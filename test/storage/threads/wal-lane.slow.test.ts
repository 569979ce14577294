/** Small commits go to the log's thread through shared memory, all others as messages, in one order. */
import { setImmediate as turn } from 'node:timers/promises'
import { Wal } from 'keelson/wal'
import { expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const seed = Number(process.env.KEELSON_SEED ?? process.pid)

/** Small ones, and now and then one that is too large for the lane. */
const sizeOf = (random: () => number): number =>
  random() < 0.02 ? 1_100_000 + Math.floor(random() * 400_000) : Math.floor(random() * 900)

test('entries of all sizes, syncs, checkpoints and readings keep the order of their requests', async () => {
  const wal = await Wal.open({ dir: tempFolder() })
  const random = seededRandom(seed)
  const entries: { number: number; size: number; lsn: number }[] = []
  const waits: Promise<unknown>[] = []
  for (let number = 0; number < 3_000; number++) {
    const size = 8 + sizeOf(random)
    const bytes = Buffer.alloc(size, number & 0xff)
    bytes.writeUInt32LE(number)
    waits.push(wal.writeEntry(bytes).then(({ lsn }) => entries.push({ number, size, lsn })))
    const chance = random()
    if (chance < 0.01) waits.push(wal.sync())
    else if (chance < 0.015) waits.push(wal.createCheckpoint())
    else if (chance < 0.02) waits.push(wal.describe())
    else if (chance < 0.3) await turn()
    else if (chance < 0.32) await Promise.all(waits)
  }
  await Promise.all(waits)
  expect(
    entries.map(({ number }) => number),
    `seed ${seed}`,
  ).toEqual(entries.map((_, at) => at))
  let at = 0
  for await (const { lsn, bytes } of wal.readAll()) {
    const found = { number: Buffer.from(bytes).readUInt32LE(), size: bytes.length, lsn }
    expect(found, `seed ${seed}`).toEqual(entries[at++])
  }
  expect(at).toBe(entries.length)
  await wal.close()
})
