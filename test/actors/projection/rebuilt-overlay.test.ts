/** An applier that begins again has what its projection lacks, also when that is one frame. */
import { expect, test } from 'vitest'
import { Applier, LmdbWriter } from '../../../src/actors/index.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { call, suspend } from '../../../src/runtime/index.ts'
import type { LogHost } from '../../../src/storage/index.ts'
import { outcomesOf } from '../../support/worlds/batched-instance.ts'
import { started } from '../../support/worlds/simulated-instance.ts'

test.each([1, 2, 3])(
  'a value in %i frames behind the projection is there again',
  async (frames) => {
    const { during, clock, app } = await started()
    await during(app.store.put('before', 0))
    await during(app.control.flush(0))
    await during(app.control.suspend(0))
    const writer = app.system.to(LmdbWriter.name(0))
    expect(await during(call(writer, 'describe', undefined))).toMatchObject({
      suspensions: [expect.anything()],
    })
    for (let at = 1; at <= frames; at++) await during(app.store.put(`k${at}`, at))

    app.system.kill(app.system.to(Applier.name(0)))
    await clock.advance(1_000)

    for (let at = 1; at <= frames; at++) expect(app.store.get(`k${at}`)).toBe(at)
    expect(app.store.get('before')).toBe(0)
  },
)

/** An instance whose projection lacks a frame, and whose log answers each read as `onRead` lets it. */
const lacking = async (onRead: () => Promise<void>) => {
  let holds = false
  const aroundLog = (host: LogHost): LogHost => ({
    run: async (kind, request) => {
      const answer = await host.run(kind, request)
      if (holds && kind === 'read') await onRead()
      return answer
    },
    end: () => host.end(),
  })
  const world = await started({}, { aroundLog })
  await world.during(world.app.control.suspend(0))
  await world.during(world.app.store.put('lacks', 1))
  holds = true
  const restart = () => {
    world.app.system.kill(Applier.name(0))
    return world.clock.advance(100)
  }
  return { ...world, restart, shard: world.app.shards[0] }
}

test.each([
  ['another member owns the log', 'FENCED', {}],
  ['the engine lost what it acknowledged', 'CORRUPT', { isLoss: true }],
] as const)(
  'that no restart can read takes the shard down at once: %s',
  async (_, code, details) => {
    let reads = 0
    const { restart, shard } = await lacking(async () => {
      reads++
      throw new KeelsonError(code, 'for good', { details })
    })
    await restart()
    expect(shard?.phase).toMatchObject({ kind: 'down', reason: { code } })
    expect(reads).toBe(1)
  },
)

test('that one applier cannot read is read by the next one', async () => {
  const errors = [new KeelsonError('CORRUPT', 'misread'), new Error('odd')]
  const { app, restart } = await lacking(async () => {
    const error = errors.pop()
    if (error) throw error
  })
  await restart()
  expect(errors).toEqual([])
  expect(app.store.get('lacks')).toBe(1)
})

test('that a killed applier has still to read changes nothing once its successor is open', async () => {
  const reads: (() => void)[] = []
  const { app, restart, clock, during, shard } = await lacking(async () => {
    if (reads.length === 0) await new Promise<void>((answer) => reads.push(answer))
  })
  await restart()
  await restart()
  const { position } = await during(app.store.put('later', 2))

  reads[0]?.()
  await clock.settle()

  expect(reads).toHaveLength(1)
  expect(shard?.appliedLsn).toBe(position.lsn)
  expect(app.store.getMany(['lacks', 'later'])).toEqual([1, 2])
})

test('every request of the writer and of the applier ends at its time limit', async () => {
  const { during, clock, app } = await started()
  const writer = app.system.to(LmdbWriter.name(0))
  const applier = app.system.to(Applier.name(0))
  await during(suspend(writer))
  await during(suspend(applier))
  const outcomes = outcomesOf([
    Applier.describe(applier, 50),
    LmdbWriter.flush(writer, 50),
    LmdbWriter.request(writer, 1, 50),
    LmdbWriter.suspend(writer, 'token', false, 50),
    LmdbWriter.resume(writer, 50),
    LmdbWriter.discard(writer, 50),
  ])
  await clock.advance(50)
  expect(outcomes).toEqual(Array(6).fill('TIMEOUT'))
})
