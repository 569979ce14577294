/** Members that share one data folder, as real processes: who has which shard, also after the end of one. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { placeShards } from '../../../src/members/placement/shard-placement.ts'
import { nodeDisk, shardFolder } from '../../../src/storage/index.ts'
import { shardOf } from '../../../src/storage/values/key.ts'
import { FolderMemberProcess } from '../../support/commands/folder-member.ts'
import { noFlock, refusal } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { sampled } from '../../support/tier.ts'

const begun = async (
  names: readonly string[],
  shards: number,
  dir = join(tempFolder(), 'd'),
): Promise<{ dir: string; members: FolderMemberProcess[] }> => {
  const members = names.map((name) => new FolderMemberProcess(name, dir, names, shards))
  const starts = await Promise.all(members.map(({ start }) => start))
  expect(starts).toEqual(names.map(() => 'began'))
  return { dir, members }
}

/** A key of this shard. */
const keyOf = (shard: number, shards: number, number = 0): string => {
  for (let at = 0; ; at++)
    if (shardOf(`k${number}-${at}`, shards) === shard) return `k${number}-${at}`
}

/** Resolves when one of the members reads the key. It then has this value. */
const readable = async (
  members: readonly FolderMemberProcess[],
  key: string,
  value: unknown,
): Promise<void> => {
  for (;;) {
    const answers = await Promise.all(members.map((member) => member.ask('get', key)))
    const found = answers.find(({ code }) => code === undefined)
    if (!found) continue
    expect(found.value).toBe(value)
    return
  }
}

describe.skipIf(lacks(noFlock))('members of one folder', () => {
  test('have each shard once, where the placement says, and refuse synchronous reads of the others', async () => {
    const { members } = await begun(['a', 'b', 'c', 'd'], 16)
    const placement = placeShards(16, ['a', 'b', 'c', 'd'])

    for (const member of members) {
      const own = [...placement.keys()].filter((shard) => placement[shard] === member.name)
      expect(await member.shards(), member.name).toEqual(own)
      const elsewhere = keyOf(
        placement.findIndex((owner) => owner !== member.name),
        16,
      )
      expect(await member.ask('get', elsewhere)).toMatchObject({ code: 'ELSEWHERE' })
    }
  })

  test('take the shards of one that is killed over, and nothing acknowledged is lost', async () => {
    const { members, dir } = await begun(['a', 'b', 'c', 'd'], 16)
    const [first, ...others] = members as [FolderMemberProcess, ...FolderMemberProcess[]]
    const lost = await first.shards()
    const keys = lost.flatMap((shard) => [0, 1, 2].map((number) => keyOf(shard, 16, number)))
    for (const key of keys)
      expect(await first.ask('put', key, `of ${key}`)).toEqual({ number: expect.any(Number) })
    await first.kill()

    for (const key of keys) await readable(others, key, `of ${key}`)
    const all = (await Promise.all(others.map((member) => member.shards()))).flat()
    expect(all.sort((one, other) => one - other)).toEqual([...Array(16).keys()])
    for (const shard of lost) {
      const lock = readFileSync(join(shardFolder(dir, shard).wal, 'LOCK'), 'utf8')
      expect(lock).toMatch(/"member":"[bcd]","incarnation":"[0-9a-f]{16}"/)
    }
  })

  test('of two take over in turn, through five kills', async () => {
    const names = ['a', 'b']
    const { members, dir } = await begun(names, 8)
    const key = keyOf(0, 8)
    for (let round = 0; round < 5; round++) {
      const [left, right] = members as [FolderMemberProcess, FolderMemberProcess]
      const owner = (await left.shards()).includes(0) ? left : right
      const other = owner === left ? right : left
      expect((await owner.ask('put', key, round)).code).toBeUndefined()
      await owner.kill()
      await readable([other], key, round)
      const again = new FolderMemberProcess(owner.name, dir, names, 8)
      expect(await again.start).toBe('began')
      members.splice(0, 2, other, again)
    }
  })

  test('leave the shards of one that is stopped alone, and it goes on with them', async () => {
    const { members } = await begun(['a', 'b'], 8)
    const [stopped, other] = members as [FolderMemberProcess, FolderMemberProcess]
    const [own = 0] = await stopped.shards()
    const before = await other.shards()
    stopped.child.kill('SIGSTOP')
    const asked = stopped.ask('put', keyOf(own, 8), 1)
    // Several looks of the other one.
    for (let look = 0; look < 8; look++) await other.ask('pause', 250)

    expect(await other.shards()).toEqual(before)
    stopped.child.kill('SIGCONT')
    expect((await asked).code).toBeUndefined()
    expect((await stopped.ask('get', keyOf(own, 8))).value).toBe(1)
  })

  test('that leave in order give their shards away, and the folder opens without members', async () => {
    const { members, dir } = await begun(['a', 'b'], 8)
    const [first, second] = members as [FolderMemberProcess, FolderMemberProcess]
    const [own = 0] = await first.shards()
    const key = keyOf(own, 8)
    await first.ask('put', key, 'kept')
    expect(refusal(() => nodeDisk().lock(join(dir, 'LOCK'), 'alone'))).toMatchObject({
      code: 'LOCKED_DIR',
      details: { holder: { by: 'members' } },
    })
    await first.close()
    await readable([second], key, 'kept')
    await second.close()

    const alone = new FolderMemberProcess('alone', dir, [], 8)
    expect(await alone.start).toBe('began')
    expect((await alone.ask('get', key)).value).toBe('kept')
    expect(await new FolderMemberProcess('a', dir, ['a', 'b'], 8).start).toBe('LOCKED_DIR')
    await alone.close()
    const again = (await begun(['a', 'b'], 8, dir)).members
    await readable(again, key, 'kept')
  })

  // In the middle of a takeover shards are inspected, and not yet open.
  test.each(sampled([0, 150, 250, 300, 350, 450], 3))(
    'may close %i ms after another one was killed: all shards open without members',
    async (ms) => {
      const { members, dir } = await begun(['a', 'b'], 8)
      const [first, second] = members as [FolderMemberProcess, FolderMemberProcess]
      const keys = (await first.shards()).map((shard) => keyOf(shard, 8))
      for (const key of keys) await first.ask('put', key, 'kept')
      await first.kill()
      await second.ask('pause', ms)
      await second.close()

      const alone = new FolderMemberProcess('alone', dir, [], 8)
      expect(await alone.start).toBe('began')
      for (const key of keys) expect((await alone.ask('get', key)).value).toBe('kept')
      await alone.close()
    },
  )

  test('exclude a second process with the name, another number of shards, and too many members', async () => {
    const { dir } = await begun(['a', 'b'], 4)

    expect(await new FolderMemberProcess('a', dir, ['a', 'b'], 4).start).toBe('LOCKED_DIR')
    expect(await new FolderMemberProcess('c', dir, ['c'], 5).start).toBe('CONFIG')
    expect(await new FolderMemberProcess('c', dir, ['c', 'd', 'e', 'f', 'g'], 4).start).toBe(
      'CONFIG',
    )
  })

  test('serve the shards of one that does not begin after five seconds', async () => {
    const dir = join(tempFolder(), 'd')
    const only = new FolderMemberProcess('a', dir, ['a', 'b'], 4)
    expect(await only.start).toBe('began')
    expect((await only.shards()).length).toBeLessThan(4)
    while ((await only.shards()).length < 4) await only.ask('pause', 250)

    expect(await only.shards()).toEqual([0, 1, 2, 3])
  })
})
