/** Waits until written frames are synced, and the requests for a sync. */
import { expect, test } from 'vitest'
import { Durability } from '../../../src/storage/groups/durability.ts'

const world = (lastLsn = 5) => {
  const durability = new Durability(lastLsn)
  const told: string[] = []
  const wait = (name: string) => durability.wait(() => told.push(name))
  return { durability, told, wait }
}

test('a wait for a durable LSN resolves without a sync', () => {
  const { durability, told, wait } = world()
  wait('a')
  expect(durability.settle()).toBe(false)
  expect(told).toEqual(['a'])
})

test('waits for a written LSN share one sync', () => {
  const { durability, told, wait } = world()
  durability.written(7, 5)
  wait('a')
  expect(durability.settle()).toBe(true)
  wait('b')
  expect(durability.settle()).toBe(false)
  expect(told).toEqual([])
  durability.synced(7)
  expect(durability.settle()).toBe(false)
  expect(told).toEqual(['a', 'b'])
})

test('an LSN written during a sync waits for the next one', () => {
  const { durability, told, wait } = world()
  durability.written(6, 5)
  wait('a')
  durability.settle()
  durability.written(8, 5)
  wait('b')
  durability.synced(6)
  expect(durability.settle()).toBe(true)
  expect(told).toEqual(['a'])
  durability.synced(8)
  durability.settle()
  expect(told).toEqual(['a', 'b'])
})

test('a synced group or marker resolves the waits before the sync under way returns', () => {
  const { durability, told, wait } = world()
  durability.written(6, 5)
  wait('a')
  expect(durability.settle()).toBe(true)
  durability.proven(6)
  expect(durability.settle()).toBe(false)
  expect(told).toEqual(['a'])
})

test('neither LSN ever decreases', () => {
  const { durability } = world(9)
  durability.written(0, 3)
  durability.proven(4)
  expect([durability.lastLsn, durability.durableLsn]).toEqual([9, 9])
})

test('an IDLE frame, which no group has written, counts in the last LSN and the durable one', {
  tags: ['O7'],
}, () => {
  const { durability } = world()
  durability.proven(6)
  expect([durability.lastLsn, durability.durableLsn]).toEqual([6, 6])
})

test('a log is durable while nothing of it waits for a sync', () => {
  const { durability } = world()
  expect(durability.isDurable).toBe(true)
  durability.written(6, 0)
  expect(durability.isDurable).toBe(false)
  durability.written(0, 6)
  expect(durability.isDurable).toBe(true)
})
