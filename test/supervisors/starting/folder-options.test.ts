/** What a member cannot have that shares its folder with others. */
import { expect, test } from 'vitest'
import { folderEngine } from '../../../src/storage/index.ts'
import { checkStartOptions, type StartOptions } from '../../../src/supervisors/index.ts'

const engine = folderEngine({ members: ['a', 'b'] })

const pathOf = (options: object): unknown => {
  const cluster = { name: 'c', member: 'a', engine }
  try {
    checkStartOptions({ dir: '/data', cluster, ...options } as unknown as StartOptions)
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
    { cluster: { name: 'c', member: 'x', engine } },
    'cluster.member',
  ],
  ['a copy that begins to act', { acts: true }, 'acts'],
])('%s is CONFIG', (_, options, path) => {
  expect(pathOf(options)).toBe(path)
})
