/** Frames on their way to the projection, and the callers that wait for them. */
import { expect, test } from 'vitest'
import { NotedChanges } from '../../../src/actors/projection/applied-frames.ts'
import {
  answering,
  ProjectionWaiters,
  unheard,
} from '../../../src/actors/projection/projection-waiters.ts'
import { KeelsonError } from '../../../src/errors.ts'
import type { Row } from '../../../src/storage/index.ts'

test('the changes of frames are noted on their way, with what each frame keeps in memory', () => {
  const passed: string[] = []
  const noted = new NotedChanges({ set: (rowKey) => void passed.push(rowKey) })
  const row = (length: number): Row => ({
    value: { tag: 2, bytes: new Uint8Array(length) },
    expiresAt: 0,
  })
  noted.set('ab', row(10))
  noted.set('c', undefined)
  noted.end(5)
  noted.end(7)
  noted.set('d', row(1))
  noted.end(9)
  expect(passed).toEqual(['ab', 'c', 'd'])
  expect(noted.rowKeys).toEqual(passed)
  expect(noted.rows.map((each) => each?.value.bytes.length)).toEqual([10, undefined, 1])
  expect([noted.ends, noted.bytes]).toEqual([
    [2, 2, 3],
    [13, 7, 9],
  ])
})

test('a wait ends when the projection shows its frames and its derived rows', () => {
  const waiters = new ProjectionWaiters()
  const told: string[] = []
  const from = (name: string) =>
    ({
      reply: (lsn: number) => told.push(`${name} ${lsn}`),
      fail: ({ code }: KeelsonError) => told.push(`${name} ${code}`),
    }) as never
  expect(waiters.areThere).toBe(false)
  waiters.add({ lsn: 5, derived: 2, ...answering(from('a')) })
  waiters.add({ lsn: 9, derived: 0, ...answering(from('b')) })
  waiters.add({ lsn: 5, derived: 3, ...answering(from('c')) })
  waiters.add({ lsn: 9, derived: 9, ...unheard })
  waiters.reach(4, 9)
  expect(told).toEqual([])
  waiters.reach(5, 2)
  expect(told).toEqual(['a 5'])
  waiters.reach(10, 2)
  expect(told).toEqual(['a 5', 'b 10'])
  waiters.fail(new KeelsonError('SHARD_DOWN', 'down'))
  expect([told.slice(2), waiters.areThere]).toEqual([['c SHARD_DOWN'], false])
  waiters.fail(new KeelsonError('SHARD_DOWN', 'down'))
  expect(told).toHaveLength(3)
})
