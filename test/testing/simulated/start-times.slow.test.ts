/** Virtual time of starts does not depend on how long Node takes to load a module. Real processes with a slow loader. */
import { expect, test } from 'vitest'
import { childProgram } from '../../support/commands/child-program.ts'

test('a start takes the same virtual time for each kind of child, twice in a row, and a killed child is back in time', async () => {
  const reports: unknown[] = []
  const child = childProgram('virtual-starts.mjs', [], (line) => reports.push(JSON.parse(line)))
  const { code } = await child.ended
  expect([code, child.stderr()]).toEqual([0, ''])

  const [first] = reports as { starts: number[] }[]
  const [start, again] = first?.starts ?? []
  expect(reports).toEqual(
    [
      'a plain worker',
      'a durable worker',
      'a kind of entities',
      'a worker by its path',
      'a kind by its path',
    ].map((kind) => ({ kind, starts: [start, again, start, again], isBack: true })),
  )
})
