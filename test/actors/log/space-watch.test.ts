/** Space on the disk of a shard: when its log refuses, and when it takes writes again. */
import { expect, test } from 'vitest'
import { SpaceWatch, withSpace } from '../../../src/actors/log/space-watch.ts'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'

const MiB = 2 ** 20
const full = new KeelsonError('NO_SPACE', 'the disk is full')

/** A watch over segments of 4 MiB and a snapshot of 1 MiB, and what it logs. */
const watch = (free: () => number = () => MiB) => {
  const clock = virtualClock()
  const lines: string[] = []
  const log = (level: string) => (line: string, facts?: object) =>
    void lines.push(
      `${level} ${line} ${JSON.stringify(facts, (key, of) => (key === 'reason' ? 0 : of))}`,
    )
  const logger = { error: log('error'), info: log('info'), warn: log('warn'), debug: log('debug') }
  const space = new SpaceWatch({
    ...{ index: 3, clock, logger, segmentBytes: 4 * MiB },
    free,
    snapshotBytes: () => MiB,
  })
  return { space, clock, lines }
}

test('two segments and the last snapshot are needed', () => {
  expect(watch().space.health).toEqual({
    ...{ freeBytes: MiB, neededBytes: 9 * MiB, refusing: undefined },
  })
  const silent = watch(() => {
    throw new Error('no such call')
  })
  expect(silent.space.health.freeBytes).toBeUndefined()
})

test.each([
  ['NO_SPACE', 'no space (1 MiB free, 9 MiB are needed)'],
  ['READ_ONLY', 'takes none at present'],
] as const)('refusals with %s are counted, since the first, and logged once', async (code, why) => {
  const { space, clock, lines } = watch()
  await clock.advance(5)
  const since = clock.now()
  for (let group = 0; group < 3; group++) {
    space.noted(new KeelsonError(code, `no ${group}`))
    await clock.advance(10)
  }
  expect(space.health.refusing).toMatchObject({
    ...{ since, groups: 3, reason: expect.stringContaining('no 2') },
  })
  expect(lines).toEqual([
    expect.stringMatching(/^error shard 3 .*"shard":3,"freeBytes":1048576,"neededBytes":9437184/),
  ])
  expect(lines[0]).toContain(why)
})

test('another refusal says nothing about space', () => {
  const { space, lines } = watch()
  const other = new KeelsonError('TOO_LARGE', 'no')
  space.noted(other)
  expect(space.health.refusing).toBeUndefined()
  space.noted(full)
  space.noted(other)
  expect(space.health.refusing?.groups).toBe(1)
  expect(lines).toHaveLength(1)
})

test('another refusal is no group that was taken, also when a segment is free', () => {
  let free = MiB
  const { space } = watch(() => free)
  space.noted(full)
  free = 4 * MiB
  space.noted(new KeelsonError('TOO_LARGE', 'no'))
  expect(space.health.refusing?.groups).toBe(1)
})

test('a group that was taken ends it when a segment is free, and says how long it was', async () => {
  let free = 4 * MiB - 1
  const { space, clock, lines } = watch(() => free)
  space.noted(undefined)
  expect(lines).toEqual([])
  space.noted(full)
  space.noted(full)
  await clock.advance(70)
  space.noted(undefined)
  expect(space.health.refusing).toBeDefined()
  free += 1
  space.noted(undefined)
  expect(space.health.refusing).toBeUndefined()
  expect(lines.slice(1)).toEqual([
    'info shard 3 takes writes again, after 70 ms {"shard":3,"groups":2,"ms":70}',
  ])
})

test('a look ends it when the disk has the space that the shard needs, though nobody writes', async () => {
  let free = MiB
  const { space, clock, lines } = watch(() => free)
  space.noted(full)
  await clock.advance(70)
  free = 9 * MiB - 1
  expect(space.health.refusing?.groups).toBe(1)
  free = 9 * MiB
  expect(space.health.refusing).toBeUndefined()
  expect(lines.slice(1)).toEqual([
    'info shard 3 has space for writes again, after 70 ms {"shard":3,"groups":1,"ms":70}',
  ])
})

test('a quota that refuses while bytes are free is ended by a write, and by no look', () => {
  const { space } = watch(() => 100 * MiB)
  space.noted(full)
  expect(space.health.refusing?.groups).toBe(1)
  space.noted(undefined)
  expect(space.health.refusing).toBeUndefined()
})

test('a disk that does not say what is free is believed when it takes a group', () => {
  const { space, lines } = watch(() => {
    throw new Error('no such call')
  })
  space.noted(full)
  expect(lines[0]).toContain('unknown free')
  space.noted(undefined)
  expect(space.health.refusing).toBeUndefined()
})

test('a disk that failed counts as sound when it gave a segment, or refused nothing for a minute', async () => {
  const failing = new KeelsonError('READ_ONLY', 'no', { details: { errno: 'EIO' } })
  for (const [rolled, restMs, isOver] of [
    [false, 0, false],
    [false, 59_999, false],
    [false, 60_000, true],
    [true, 0, true],
  ] as const) {
    const { space, clock, lines } = watch(() => 9 * MiB)
    space.noted(failing)
    expect(lines[0]).toContain('its disk fails')
    await clock.advance(restMs)
    space.noted(undefined, rolled)
    expect(space.health.refusing === undefined, `${rolled} ${restMs}`).toBe(isOver)
  }
})

test('large values that the disk refuses are noted, and other ends of a shard are not', () => {
  const { space } = watch()
  space.noted(new KeelsonError('SHARD_DOWN', 'no', { details: { reason: 'thread' } }))
  expect(space.health.refusing).toBeUndefined()
  space.noted(new KeelsonError('SHARD_DOWN', 'no', { details: { reason: 'disk' } }))
  expect(space.health.refusing?.groups).toBe(1)
})

test('the refusal of a start says what is free and what it needs', () => {
  const room = { freeBytes: 1.5 * MiB, neededBytes: 9 * MiB }
  const cause = new KeelsonError('NO_SPACE', 'the disk is full', { details: { file: 'a' } })
  const error = withSpace(cause, room)
  expect(error).toMatchObject({ code: 'NO_SPACE', details: { file: 'a', ...room }, cause })
  expect(error.message).toMatch(/needs 9 MiB, free: 2 MiB/)
})
