/** A disk that gives a running log no new file, by each of the system's codes: writes are refused, and everybody can see why. */
import { expect, test } from 'vitest'
import type { KeelsonError } from '../../../src/errors.ts'
import { createSystem } from '../../../src/runtime/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

test.each([
  ['EFBIG', 'NO_SPACE'],
  ['EDQUOT', 'NO_SPACE'],
  ['EIO', 'READ_ONLY'],
  ['EACCES', 'READ_ONLY'],
  ['EROFS', 'READ_ONLY'],
  ['EMFILE', 'READ_ONLY'],
  ['ENOENT', 'READ_ONLY'],
  ['ENODEV', 'READ_ONLY'],
  ['ESTALE', 'READ_ONLY'],
  ['EINTR', 'READ_ONLY'],
])('a write that needs a file, and meets %s, is %s: health and log say so', async (errno, code) => {
  const world = machine()
  const { clock, disk, during } = world
  const log = capturedLog()
  const app = await world.start({
    system: createSystem({ clock, logger: log }),
    wal: { maxFileSize: 128 * 1024 },
  })
  const write = (): Promise<unknown> =>
    during(app.store.put('k', 'x'.repeat(40_000))).catch((error: KeelsonError) => error)
  for (let at = 1; at < 60; at++)
    disk.inject({ at, operation: 'create', path: 'spare', fault: { kind: 'error', code: errno } })

  const answers: unknown[] = []
  while (answers.length < 12) answers.push(await write())
  expect(answers.at(-1)).toMatchObject({ code, details: { errno } })
  const [health] = app.health().shards
  expect(health).toMatchObject({
    phase: 'open',
    space: { refusing: { groups: expect.any(Number) } },
  })
  expect(health?.space.refusing?.reason).toContain(code)
  expect(log.messages('error')).toEqual([expect.stringContaining('shard 0 refuses writes')])

  disk.clearFaults()
  expect(await write()).not.toHaveProperty('code')
  expect(app.health().shards[0]?.space.refusing).toBeUndefined()
  expect(log.messages('error')).toHaveLength(1)
  await during(app.close())
})
