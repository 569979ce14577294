/** Work that ends its process at once, of members that share a folder: it ends two of them at most. */
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FolderMemberProcess } from '../../support/commands/folder-member.ts'
import { noFlock } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const names = ['a', 'b', 'c', 'd']
const shards = 16

const memberOf = (name: string, dir: string): FolderMemberProcess =>
  new FolderMemberProcess(name, dir, names, shards, 'folder-bombs.mjs')

const begun = async () => {
  const dir = join(tempFolder(), 'd')
  const members = names.map((name) => memberOf(name, dir))
  expect(await Promise.all(members.map(({ start }) => start))).toEqual(names.map(() => 'began'))
  return { dir, members }
}

const isAlive = ({ child }: FolderMemberProcess): boolean =>
  child.exitCode === null && child.signalCode === null

/** Resolves with what a living member says for which `isIt` is true. */
const until = async (
  members: readonly FolderMemberProcess[],
  what: string,
  isIt: (value: unknown) => boolean,
): Promise<unknown> => {
  for (;;)
    for (const member of members.filter(isAlive)) {
      const { value } = await member.ask(what)
      if (value !== undefined && isIt(value)) return value
    }
}

describe.skipIf(lacks(noFlock))('of members that share a folder', () => {
  test.each(['alarm', 'step'])(
    'two end under a poisonous %s, and it is parked and named',
    async (how) => {
      const { members } = await begun()
      let ended = 0
      for (const { child } of members) void once(child, 'exit').then(() => ended++)
      const [first] = members as [FolderMemberProcess]
      await first.ask('arm', '7', how)
      const parked = await until(members, 'parked', (list) => (list as unknown[]).length > 0)
      expect(parked).toMatchObject([{ id: '7' }])
      expect(JSON.stringify(parked)).toContain('2 processes have ended while bomb/7 began')
      // The actor itself goes on.
      const alive = members.filter(isAlive)
      expect(await (alive[0] as FolderMemberProcess).ask('look', '7')).toMatchObject({
        value: 'whole',
      })
      expect(ended).toBe(2)
    },
  )

  test('two end under a poisonous step of a workflow, and its run is blocked', async () => {
    const { members } = await begun()
    let ended = 0
    for (const { child } of members) void once(child, 'exit').then(() => ended++)
    await (members[0] as FolderMemberProcess).ask('arm', '7', 'flow')
    const flows = await until(members, 'runs', (value) =>
      JSON.stringify(value).includes('UNKNOWN_STEP'),
    )
    expect(flows).toMatchObject({ blocked: { count: 1, first: [{ run: 'doomed/7' }] } })
    expect(ended).toBe(2)
  })

  test('none that begins again is ended by it', async () => {
    const { dir, members } = await begun()
    await (members[0] as FolderMemberProcess).ask('arm', '7', 'alarm')
    await until(members, 'parked', (list) => (list as unknown[]).length > 0)
    const again = members
      .filter((member) => !isAlive(member))
      .map((member) => memberOf(member.name, dir))
    expect(await Promise.all(again.map(({ start }) => start))).toEqual(['began', 'began'])
    expect(await (again[0] as FolderMemberProcess).ask('look', '7')).toMatchObject({
      value: 'whole',
    })
    expect(again.every(isAlive)).toBe(true)
  })
})
