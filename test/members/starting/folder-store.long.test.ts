/** The store of members that share a folder, as real processes: every member reaches every shard. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { placeShards } from '../../../src/members/placement/shard-placement.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import { FolderMemberProcess } from '../../support/commands/folder-member.ts'
import { noFlock } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const names = ['a', 'b', 'c', 'd']
const shards = 16

/** A key of this shard, for this writer. */
const keyOf = (shard: number, writer: string): string => {
  for (let at = 0; ; at++)
    if (shardOf(`${writer}-${at}`, shards) === shard) return `${writer}-${at}`
}

const begun = async (): Promise<FolderMemberProcess[]> => {
  const dir = join(tempFolder(), 'd')
  const members = names.map((name) => new FolderMemberProcess(name, dir, names, shards))
  expect(await Promise.all(members.map(({ start }) => start))).toEqual(names.map(() => 'began'))
  return members
}

const everyShard = [...Array(shards).keys()]

describe.skipIf(lacks(noFlock))('members of one folder', () => {
  test('put to every shard, and load from every shard, each of them', async () => {
    const members = await begun()
    const puts = members.flatMap((member) =>
      everyShard.map((shard) => member.ask('put', keyOf(shard, member.name), member.name)),
    )
    for (const put of await Promise.all(puts)) expect(put.code).toBeUndefined()

    const keys = names.flatMap((name) => everyShard.map((shard) => keyOf(shard, name)))
    for (const member of members) {
      const loads = await Promise.all(keys.map((key) => member.ask('loadKey', key)))
      expect(loads.map(({ value }) => value)).toEqual(keys.map((key) => key.split('-')[0]))
      expect((await member.ask('keys')).value).toEqual([...keys].sort())
    }
  })

  test('lose no acknowledged write when one is killed, and write to its shards again', async () => {
    const members = await begun()
    const [killed, ...others] = members as [FolderMemberProcess, ...FolderMemberProcess[]]
    const placement = placeShards(shards, names)
    const last = new Map<string, number>()
    const unknown: string[] = []
    let isOver = false
    const write = async (member: FolderMemberProcess, shard: number): Promise<void> => {
      const key = keyOf(shard, member.name)
      for (let at = 1; !isOver; at++) {
        const { code } = await member.ask('put', key, at)
        if (code === undefined) last.set(key, at)
        else unknown.push(`${code} of ${placement[shard]}`)
      }
    }
    const writers = others.flatMap((member) => everyShard.map((shard) => write(member, shard)))
    await members[1]?.ask('pause', 500)
    await killed.kill()
    const before = new Map(last)
    const isGoing = (): boolean => [...last].every(([key, at]) => at > (before.get(key) ?? 0) + 2)
    while (!isGoing()) await others[0]?.ask('pause', 20)
    isOver = true
    await Promise.all(writers)

    // Nobody but the owner that ended has left an outcome open.
    for (const each of unknown) expect(each).toBe('UNKNOWN_OUTCOME of a')
    for (const [key, at] of last) {
      const answers = await Promise.all(others.map((member) => member.ask('loadKey', key)))
      for (const { value } of answers) expect(value).toBe(at)
    }
  })
})
