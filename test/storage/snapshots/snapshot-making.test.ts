/** The making of a snapshot on a disk that fails or lies, and at its rate. */
import { expect, test } from 'vitest'
import type { SnapshotProgress } from '../../../src/storage/ports/snapshot-host.ts'
import { SnapshotWork } from '../../../src/storage/snapshots/snapshot-work.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'
import { positionAt } from '../../support/worlds/projection-rows.ts'

const request = {
  dir: '/data/snapshot',
  projection: '/data/lmdb',
  bytesPerSecond: Number.POSITIVE_INFINITY,
  pinnedBytesMax: Number.POSITIVE_INFINITY,
}

/** A machine with a projection of some blocks, which is pinned. */
const pinned = async () => {
  const machine = new SimulatedMachine()
  machine.disk.makeFolder('/data')
  const store = machine.projections.open(request.projection)
  const rows = Array.from({ length: 12 }, (_, at) => {
    const value = { tag: 2, bytes: Buffer.alloc(100_000, at) } as const
    return [`k${at}`, { value, expiresAt: 0 }] as const
  })
  await machine.during(store.commit(rows, positionAt(5)))
  store.pin()
  return { machine, host: new SnapshotWork(machine) }
}

test.each([
  ['a write that is short', { kind: 'short', bytes: 10 }, { code: 'NO_SPACE' }],
  ['a write that fails', { kind: 'error' }, { code: 'SHARD_DOWN' }],
] as const)('%s makes no snapshot, and leaves no file', async (_, fault, expected) => {
  const { machine, host } = await pinned()
  const calls = machine.disk.recordCalls()
  await machine.during(host.run('make', request))
  const writes = calls.filter(({ operation }) => operation === 'write').length
  expect(writes).toBeGreaterThan(5)
  for (let at = 1; at <= writes; at++) {
    const { machine, host } = await pinned()
    machine.disk.inject({ at, operation: 'write', fault })
    const making = machine.during(host.run('make', request))
    await expect(making, `write ${at}`).rejects.toMatchObject(expected)
    expect(machine.disk.list(request.dir), `write ${at}`).toEqual([])
  }
})

test('takes the time that its rate gives it, and tells its way', async () => {
  const { machine, host } = await pinned()
  const seen: SnapshotProgress[] = []
  const begin = machine.clock.now()
  const making = host.run('make', { ...request, bytesPerSecond: 1_000_000 }, (at) => seen.push(at))
  const { bytes, rows } = await machine.during(making)
  const took = machine.clock.now() - begin
  expect(took).toBeGreaterThan(bytes / 1_000 - 300)
  expect(took).toBeLessThan(bytes / 1_000 + 10)
  expect(new Set(seen.map(({ phase }) => phase))).toEqual(new Set(['write', 'read back']))
  expect(seen.at(-1)).toMatchObject({ phase: 'read back', rows, rowsInAll: rows })
})

test('without a rate the work takes a quarter of the time', async () => {
  const { machine } = await pinned()
  const { clock, disk, projections } = machine
  const calls = disk.recordCalls()
  const workedMs = (): number => 2 * calls.length
  const host = new SnapshotWork({
    disk,
    projections,
    clock: {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() + workedMs(),
      after: (ms, action, options) => clock.after(ms, action, options),
      whenSet: (listener) => clock.whenSet(listener),
      soon: (action) => clock.soon(action),
      random: () => clock.random(),
      randomBytes: (count) => clock.randomBytes(count),
    },
  })
  const begin = clock.monotonic()
  const { bytesPerSecond: _, ...unlimited } = request
  await machine.during(host.run('make', unlimited))
  const rested = clock.monotonic() - begin
  expect(workedMs()).toBeGreaterThan(50)
  expect(rested / (rested + workedMs())).toBeCloseTo(0.75, 1)
})

test('a file that is read back otherwise than it was written is CORRUPT, and is removed', async () => {
  const { machine, host } = await pinned()
  const making = host.run('make', request, ({ phase, bytes }) => {
    if (phase !== 'read back' || bytes > 300_000) return
    machine.disk.poke(`${request.dir}/snapshot.tmp`, 800_000, Uint8Array.of(0x55, 0xaa))
  })
  await expect(machine.during(making)).rejects.toMatchObject({
    code: 'CORRUPT',
    details: { file: 'snapshot.tmp', offset: expect.any(Number) },
  })
  expect(machine.disk.list(request.dir)).toEqual([])
})

test('a projection with a damaged row is told as that, and leaves no file', async () => {
  const { machine, host } = await pinned()
  machine.projections.damageRow(request.projection, 'k7')
  const making = machine.during(host.run('make', request))
  await expect(making).rejects.toMatchObject({
    code: 'CORRUPT',
    details: expect.not.objectContaining({ file: expect.anything() }),
  })
  expect(machine.disk.list(request.dir)).toEqual([])
})
