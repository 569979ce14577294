import { expect, test } from 'vitest'
import { folderEngine } from '../../../src/supervisors/starting/folder-engine.ts'

test('the engine of a folder names its members and how long they may take, and no change of the list reaches it', () => {
  const members = ['a', 'b']
  const engine = folderEngine({ members })
  members.push('c')

  expect(engine.members).toEqual(['a', 'b'])
  expect(engine.arrivalMs).toBe(5_000)
})

test.each([
  ['no list', undefined],
  ['no member', []],
  ['a name that is none', ['a', 'b/c']],
  ['an empty name', ['']],
  ['a number', [1]],
  ['a name twice', ['a', 'b', 'a']],
  ['too many', Array.from({ length: 65 }, (_, at) => `m${at}`)],
])('%s is CONFIG', (_, members) => {
  expect(() => folderEngine({ members: members as string[] })).toThrow(
    expect.objectContaining({
      code: 'CONFIG',
      details: expect.objectContaining({ path: 'cluster.engine.members' }),
    }),
  )
})

test.each([
  ['a time that is none', { members: ['a'], arrivalMs: -1 }, 'cluster.engine.arrivalMs'],
  ['an unknown option', { members: ['a'], arrival: 5 }, 'cluster.engine.arrival'],
])('%s is CONFIG', (_, options, path) => {
  expect(() => folderEngine(options as { members: string[] })).toThrow(
    expect.objectContaining({ code: 'CONFIG', details: expect.objectContaining({ path }) }),
  )
})
