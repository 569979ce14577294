/** What a member cannot have that shares its folder with others. */
import { expect, test } from 'vitest'
import {
  checkStartOptions,
  folderEngine,
  type StartOptions,
} from '../../../src/supervisors/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

const engine = folderEngine({ members: ['a', 'b'] })

const member = { name: 'c', member: 'a', engine }

const pathOf = (options: object): unknown => {
  try {
    checkStartOptions({ dir: '/data', cluster: member, ...options } as unknown as StartOptions)
    return 'taken'
  } catch (error) {
    return Object(error).details?.path
  }
}

test('a member of a folder may have the options of its logs, and a prompt', () => {
  expect(pathOf({})).toBe('taken')
  expect(pathOf({ attach: true })).toBe('taken')
  expect(pathOf({ wal: { maxFileSize: 1_048_576 }, snapshot: { keep: 3 } })).toBe('taken')
})

test.each([
  [
    'a name that the engine does not list',
    { cluster: { ...member, member: 'x' } },
    'cluster.member',
  ],
  ['a copy that begins to act', { acts: true }, 'acts'],
  [
    'one member for all shards',
    { cluster: { ...member, placement: 'together' } },
    'cluster.placement',
  ],
  ['an address', { cluster: { ...member, listen: '10.0.0.5:7400' } }, 'cluster.listen'],
  ['a secret', { cluster: { ...member, secret: 's'.repeat(32) } }, 'cluster.secret'],
  ['a lease', { cluster: { ...member, leaseMs: 5_000 } }, 'cluster.leaseMs'],
  ['a number of copies', { cluster: { ...member, copies: 1 } }, 'cluster.copies'],
])('%s is CONFIG', (_, options, path) => {
  expect(pathOf(options)).toBe(path)
})

test('members of a folder with too few shards are told how many it has, and how it gets more', async () => {
  const members = new FolderMembers(['a', 'b'])
  await expect(members.start(undefined, () => ({ shards: 1 }))).rejects.toMatchObject({
    code: 'CONFIG',
    message:
      'shards: expected a folder with at least one for each of 2 members; ' +
      '`keelson reshard /data --shards N` gives it more (docs/resharding.md), found "1 in /data"',
  })
})
