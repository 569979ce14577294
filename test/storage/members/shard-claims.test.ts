import { expect, test } from 'vitest'
import {
  candidates,
  placeShards,
  type SeenMembers,
  shardsToClaim,
} from '../../../src/storage/members/shard-placement.ts'

const members = ['a', 'b', 'c']

const seen = (
  self: string,
  facts: { alive?: string[]; met?: string[]; mayCome?: boolean } = {},
): SeenMembers => ({
  ...{ members, self },
  alive: new Set(facts.alive),
  met: new Set(facts.met),
  mayCome: facts.mayCome ?? false,
})

test('a member that has not come yet is counted while it may come, and not afterwards', () => {
  expect(candidates(seen('a', { mayCome: true }))).toEqual(['a', 'b', 'c'])
  expect(candidates(seen('a'))).toEqual(['a'])
})

test('a member that was met is counted as long as its process lives, even if it may come', () => {
  const met = ['b', 'c']
  expect(candidates(seen('a', { met, alive: ['b'], mayCome: true }))).toEqual(['a', 'b'])
  expect(candidates(seen('a', { met, alive: met }))).toEqual(['a', 'b', 'c'])
})

test('members that see the same claim each shard once', () => {
  const claims = members.map((self) =>
    shardsToClaim(16, seen(self, { alive: members.filter((each) => each !== self) })),
  )
  expect(claims.flat().sort((one, other) => one - other)).toEqual([...Array(16).keys()])
  expect(claims).toEqual(
    members.map((self) =>
      [...Array(16).keys()].filter((shard) => placeShards(16, members)[shard] === self),
    ),
  )
})

test('the shards of a member that has ended are claimed by the others, each once', () => {
  const met = ['a', 'b', 'c']
  const [left, right] = [
    shardsToClaim(16, seen('a', { met, alive: ['c'], mayCome: true })),
    shardsToClaim(16, seen('c', { met, alive: ['a'], mayCome: true })),
  ]
  expect([...left, ...right].sort((one, other) => one - other)).toEqual([...Array(16).keys()])
})

test('the last member claims all', () => {
  expect(shardsToClaim(16, seen('b', { met: ['a', 'c'] }))).toHaveLength(16)
})
