/** `keelson run --members` of a service whose worker uses the store before it is ready. Real processes. */
import { describe, expect, test } from 'vitest'
import {
  allClean,
  folderWith,
  shardStates,
  startMembers,
} from '../../support/commands/members-command.ts'
import { noFlock } from '../../support/harm/folder-locks.ts'
import { lacks } from '../../support/lacks.ts'

const worker = `export const server = {
    init: async (_, { app: { store } }) => {
      const member = process.title
      const keys = [...Array(20).keys()].map((at) => member + ':' + at)
      await Promise.all(keys.map((key) => store.put(key, key)))
      await store.putMany(keys.map((key) => [key + ':many', key]))
      const loaded = await Promise.all(keys.map((key) => store.load(key)))
      const { entries } = await store.page({ prefix: member })
      console.log('begun with ' + new Set(loaded).size + ' and ' + entries.length)
      return null
    },
    calls: {}, casts: {},
  }`

describe.skipIf(lacks(noFlock))('keelson run --members (needs the build)', () => {
  test('is ready when the init of a worker has used the store at every member', async () => {
    const dir = folderWith(worker)
    const service = await startMembers(dir, 3)
    expect(service.printed().match(/begun with \d+ and \d+/g)).toEqual([
      ...['begun with 20 and 40', 'begun with 20 and 40', 'begun with 20 and 40'],
    ])

    service.process.kill('SIGTERM')
    expect([(await service.ended).status, await shardStates(dir)]).toEqual([0, allClean])
  })
})
