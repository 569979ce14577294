/** A rehearsal on a running instance whose shards are at several members. */
import { expect, test } from 'vitest'
import { StoredParts } from '../../../src/flow/index.ts'
import { type App, type DurableServer, entity, reply, supervisor } from '../../../src/index.ts'
import { rehearse } from '../../../src/testing/index.ts'
import { FolderMembers } from '../../support/worlds/folder-members.ts'

const counter: DurableServer<{ calls: { add: () => number } }, number> = {
  init: () => 0,
  calls: { add: (count) => reply(count + 1, count + 1) },
}
const app = supervisor('app', {}, [entity('counter', counter)])

test('it is refused with what to do, as the data of one member would be taken for all', async () => {
  const world = new FolderMembers(['a', 'b'])
  const [member] = (await world.start(['a', 'b'], () => ({ app }))) as [App, App]
  const refused = {
    code: 'ELSEWHERE',
    message: expect.stringMatching(/this member has \d+ of 4 shards: use `keelson rehearse DIR`/),
  }

  await expect(rehearse({ from: member, app })).rejects.toMatchObject(refused)
  await expect(
    new StoredParts(member, 1).lots()[Symbol.asyncIterator]().next(),
  ).rejects.toMatchObject(refused)
})
