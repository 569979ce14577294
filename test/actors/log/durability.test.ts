/** Who waits until what was written is synced, and when a sync is asked for. */
import { expect, test } from 'vitest'
import { Durability } from '../../../src/actors/log/durability.ts'

const world = (lastLsn = 5) => {
  const durability = new Durability(lastLsn)
  const told: string[] = []
  const wait = (name: string) => durability.wait(() => told.push(name))
  return { durability, told, wait }
}

test('who waits for what is durable already is told without a sync', () => {
  const { durability, told, wait } = world()
  wait('a')
  expect(durability.settle()).toBe(false)
  expect(told).toEqual(['a'])
})

test('who waits for what was only written has one sync asked for, whoever else comes', () => {
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

test('what was written while a sync was under way waits for the next one', () => {
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

test('a group that was synced, or a marker, tells whoever waited, while the sync is still under way', () => {
  const { durability, told, wait } = world()
  durability.written(6, 5)
  wait('a')
  expect(durability.settle()).toBe(true)
  durability.proven(6)
  expect(durability.settle()).toBe(false)
  expect(told).toEqual(['a'])
})

test('nothing ever goes back', () => {
  const { durability } = world(9)
  durability.written(0, 3)
  durability.proven(4)
  expect([durability.lastLsn, durability.durableLsn]).toEqual([9, 9])
})
