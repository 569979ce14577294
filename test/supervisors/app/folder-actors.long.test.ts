/** Actors of members that share a folder, as real processes that are killed: each call settles once, and money adds up. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FolderMemberProcess } from '../../support/commands/folder-member.ts'
import { noFlock } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const names = ['a', 'b', 'c', 'd']
const shards = 16

const memberOf = (name: string, dir: string): FolderMemberProcess =>
  new FolderMemberProcess(name, dir, names, shards)

const begun = async () => {
  const dir = join(tempFolder(), 'd')
  const members = names.map((name) => memberOf(name, dir))
  expect(await Promise.all(members.map(({ start }) => start))).toEqual(names.map(() => 'began'))
  return { dir, members }
}

const accounts = Array.from({ length: 24 }, (_, at) => `n${at}`)

/** The member that has the shard of an account. */
const ownerOf = async (
  members: readonly FolderMemberProcess[],
  id: string,
): Promise<FolderMemberProcess> => {
  const { value: shard } = await (members[0] as FolderMemberProcess).ask('shardOf', id)
  for (;;)
    for (const member of members)
      if ((await member.shards()).includes(shard as number)) return member
}

describe.skipIf(lacks(noFlock))('actors of members that share a folder', () => {
  test('take each call with an id once, from every member, past kills and members that begin again', async () => {
    const { dir, members } = await begun()
    const asked: Promise<{ readonly code?: string }>[] = []
    let number = 0
    const round = (): void => {
      for (const [at, id] of accounts.entries()) {
        const from = members[at % 2] as FolderMemberProcess
        asked.push(from.ask('add', id, 1, `r${number}`))
        if (at % 8 === 0) asked.push(from.ask('ledger', 1, `l${number}-${at}`))
      }
      number++
    }
    // Those of a and b ask. The others own shards, are killed and begin again.
    for (let kill = 0; kill < 4; kill++) {
      const at = 2 + (kill % 2)
      for (let each = 0; each < 3; each++) round()
      await (members[at] as FolderMemberProcess).kill()
      for (let each = 0; each < 3; each++) round()
      await Promise.all(asked)
      const again = memberOf(names[at] as string, dir)
      expect(await again.start).toBe('began')
      members[at] = again
    }
    const codes = (await Promise.all(asked)).flatMap(({ code }) => code ?? [])

    expect(codes).toEqual([])
    for (const [at, id] of accounts.entries()) {
      const from = members[at % 4] as FolderMemberProcess
      expect((await from.ask('read', id)).value, id).toEqual({ sum: number, turns: number })
      expect((await from.ask('load', id)).value, id).toEqual({ sum: number, turns: number })
    }
    expect((await (members[3] as FolderMemberProcess).ask('ledger', 0, 'last')).value).toBe(
      3 * number,
    )
  })

  test('answer again within two seconds of the kill of their member', async () => {
    const { members } = await begun()
    for (const id of accounts) await (members[0] as FolderMemberProcess).ask('add', id, 1)
    const victim = members[1] as FolderMemberProcess
    const owned = await victim.shards()
    const [first, ...others] = members.filter((each) => each !== victim)
    const at = await Promise.all(
      accounts.map(async (id) => (await (first as FolderMemberProcess).ask('shardOf', id)).value),
    )
    const lost = accounts.filter((_, index) => owned.includes(at[index] as number))
    await victim.kill()
    const began = performance.now()
    const answers = await Promise.all(
      lost.map((id, index) => [first, ...others][index % 3]?.ask('read', id, `look-${id}`)),
    )

    expect(lost.length).toBeGreaterThan(0)
    expect(performance.now() - began).toBeLessThan(2_000)
    for (const answer of answers) expect(answer?.value).toEqual({ sum: 1, turns: 1 })
  })

  test('that end the members which handle one call end two, and not the rest', async () => {
    const { members } = await begun()
    const id = accounts.at(-1) as string
    const owner = await ownerOf(members, id)
    const [from, ...others] = members.filter((each) => each !== owner)
    // The call is refused when the link has ended: the news of the end of its process may come later.
    const twoEnds = new Promise<void>((resolve) => {
      let ends = 0
      for (const { child } of members) child.once('exit', () => ++ends === 2 && resolve())
    })
    const poisoned = await (from as FolderMemberProcess).ask('poison', id, 'p')
    await twoEnds
    const alive = [from, ...others].filter(
      (each) => each?.child.exitCode === null && each.child.signalCode === null,
    )

    // If the caller's own member was the second owner, it has ended too.
    expect(['UNKNOWN_OUTCOME', 'ENDED']).toContain(poisoned.code)
    expect(alive.length).toBe(2)
    expect((await alive[0]?.ask('read', id))?.value).toEqual({ sum: 0, turns: 0 })
  })
})
