import { expect, test } from 'vitest'
import {
  candidates,
  misplaced,
  placeShards,
  rememberedCopies,
  type SeenMembers,
  shardsToClaim,
  shardsToCopy,
} from '../../../src/members/placement/shard-placement.ts'

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

test('a member that closes claims nothing of what is free, and keeps its places', () => {
  const alive = { alive: ['a', 'b', 'c'] }
  const closing = new Set(['c'])
  const claims = ['a', 'b'].map((self) => shardsToClaim(16, { ...seen(self, alive), closing }))
  expect(claims.flat().sort((one, other) => one - other)).toEqual([...Array(16).keys()])
  const own = new Set(Array(16).keys())
  expect(misplaced(16, own, { ...seen('a', alive), closing })).toEqual(
    misplaced(16, own, seen('a', alive)),
  )
})

test('the last member claims all', () => {
  expect(shardsToClaim(16, seen('b', { met: ['a', 'c'] }))).toHaveLength(16)
})

test('with two copies each shard is at its owner, and at the member that owns it when that one has ended', () => {
  const alive = (self: string) => members.filter((each) => each !== self)
  const copied = members.map((self) => shardsToCopy(64, seen(self, { alive: alive(self) }), 2))
  const placed = placeShards(64, members)
  for (let shard = 0; shard < 64; shard++) {
    const next = placeShards(64, alive(placed[shard] as string))[shard]
    const at = members.filter((_, index) => copied[index]?.includes(shard))
    expect(at, `shard ${shard}`).toEqual([placed[shard], next].sort())
  }
})

test('with one copy a shard is where it should be, and with as many as members it is everywhere', () => {
  const of = seen('b', { alive: ['a', 'c'] })
  expect(shardsToCopy(64, of, 1)).toEqual(shardsToClaim(64, of))
  for (const copies of [3, 9]) expect(shardsToCopy(64, of, copies)).toHaveLength(64)
  expect(shardsToCopy(64, seen('a'), 2)).toHaveLength(64)
})

test('a shard that is asked for is copied where it is asked for, and at the one that is next without it', () => {
  const asked = new Map([[7, 'c']])
  const copiesAt = (self: string) =>
    shardsToCopy(64, { ...seen(self, { alive: members.filter((m) => m !== self) }), asked }, 2)
  const next = placeShards(64, ['a', 'b'])[7]
  expect(members.filter((each) => copiesAt(each).includes(7))).toEqual([next, 'c'].sort())
})

test('copies that are remembered are others when members, places or the number are', () => {
  const copied = rememberedCopies()
  const of = seen('a', { alive: ['b', 'c'] })
  expect(copied(64, of, 2)).toBe(copied(64, seen('a', { alive: ['b', 'c'] }), 2))
  const others: Parameters<typeof shardsToCopy>[] = [
    [64, of, 2],
    [64, of, 1],
    [64, seen('b', { alive: ['a', 'c'] }), 1],
    [64, seen('a', { alive: ['b'] }), 2],
    [64, { ...of, asked: new Map([[3, 'b']]) }, 1],
    [32, of, 1],
  ]
  for (const each of others) expect(copied(...each)).toEqual(shardsToCopy(...each))
})
