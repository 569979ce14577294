/** Values are packed and unpacked by a msgpackr that no application can reach. */
import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { loadOwnMsgpackr } from '../../../src/storage/values/own-msgpackr.ts'
import { childProgram } from '../../support/commands/child-program.ts'

const require = createRequire(import.meta.url)

test('extensions that an application adds before and after change no stored value, and stay its own', {
  tags: ['slow'],
}, async () => {
  const lines: string[] = []
  const child = childProgram('spoilt-globals.mjs', ['values'], (line) => lines.push(line))

  await child.ended

  expect(lines, child.stderr()).toEqual(['the same'])
})

test('the module of the application stays in the cache of modules, and ours is not in it', () => {
  const before = require('msgpackr')

  const own = loadOwnMsgpackr()

  expect(own.Packr).not.toBe(before.Packr)
  expect(require('msgpackr')).toBe(before)
  delete require.cache[require.resolve('msgpackr')]
  loadOwnMsgpackr()
  expect(require.cache[require.resolve('msgpackr')]).toBeUndefined()
})

test.each(['', 'file:///nowhere/out/app.mjs'])(
  'in a bundle at %s, it refuses with CONFIG',
  (place) => {
    expect(() => loadOwnMsgpackr(place)).toThrow(
      expect.objectContaining({
        code: 'CONFIG',
        details: expect.objectContaining({ path: 'package' }),
      }),
    )
  },
)
