/**
 * Short forms of `npm run harness -- kill`, `-- orders`, `-- snapshots`, `-- power` and `-- pages`: many logs and stores are struck at once, and each is held
 * against what its writers were answered. The built package; the power cuts need root and loop devices.
 */
import { describe, expect, test } from 'vitest'
import { killRounds } from '../harness/kill-rounds.ts'
import { noLoopDisk } from '../harness/loop-disk.ts'
import { orderRounds } from '../harness/order-rounds.ts'
import { pageRounds, powerRounds } from '../harness/power-rounds.ts'
import { kindNames, snapshotRounds } from '../harness/snapshot-rounds.ts'
import { lacks } from '../support/lacks.ts'
import { thorough } from '../support/tier.ts'

const seed = Number(process.env.KEELSON_SEED ?? process.pid)
const [killed, cut] = [thorough(10, 40), thorough(2, 4)]
const [served, perKind] = [thorough(5, 25), thorough(1, 5)]

test('kill -9 while logs and stores are written or opened loses nothing that was answered', {
  tags: ['D1', 'E32'],
  timeout: 600_000,
}, async () => {
  const { rounds, promised } = await killRounds({ rounds: killed, seed })

  expect(rounds).toBeGreaterThanOrEqual(killed)
  expect(promised).toBeGreaterThan(0)
})

test('kill -9 of a service of durable actors loses no order, charges none twice, and each comes to its end', async () => {
  const { strikes, promised } = await orderRounds({ rounds: served, seed })

  expect(strikes).toBe(served)
  expect(promised).toBeGreaterThan(0)
}, 600_000)

test('kill -9 at the steps of snapshots and projections loses nothing, and leaves no file behind', async () => {
  const { rounds, promised, made } = await snapshotRounds({
    rounds: perKind,
    seed,
    kinds: kindNames,
  })

  expect(Object.values(rounds)).toEqual(Array(kindNames.length).fill(perKind))
  expect(Math.min(promised, made)).toBeGreaterThan(0)
}, 600_000)

describe.skipIf(lacks(noLoopDisk()))('a power cut', () => {
  test('while logs and stores are written or opened loses nothing that was answered', {
    tags: ['D2', 'E33'],
    timeout: 600_000,
  }, async () => {
    const { strikes, promised } = await powerRounds({ rounds: cut, seed })

    expect(strikes).toBe(cut)
    expect(promised).toBeGreaterThan(0)
  })

  test('after which only some pages of what was written are there loses nothing that was synced, and is cut', {
    tags: ['D4', 'E34'],
    timeout: 600_000,
  }, async () => {
    const { torn, promised } = await pageRounds({ rounds: cut / 2, seed })

    expect(promised).toBeGreaterThanOrEqual(20 * cut)
    // A share of the pages is kept, drawn for each log: that no tail of eight is torn would be luck of 1 in thousands.
    expect(torn).toBeGreaterThan(0)
  })
})
