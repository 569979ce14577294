/** A look at all processes gives way to others: it counts turns of the event loop, not their time. */
import { expect, test } from 'vitest'
import { processPages } from '../../../src/inspect/answers/process-pages.ts'
import type { GenServer } from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

const server: GenServer<object, null> = { init: () => null }

test('50 processes are looked at in one turn of the event loop, and what follows has another', async () => {
  const { system, settle } = testSystem()
  for (let at = 0; at < 120; at++) await system.start(server)
  let turns = 0
  const clock = {
    ...system.clock,
    soon: (run: () => void) => {
      turns++
      system.clock.soon(run)
    },
  }
  const looks: [turn: number, processes: number][] = []
  const looked = (async () => {
    const inspectProcesses = system.inspectProcesses.bind(system)
    for await (const page of processPages({ clock, inspectProcesses }))
      looks.push([turns, page.length])
    looks.push([turns, 0])
  })()
  await settle()
  await looked

  expect(looks).toEqual([
    [1, 50],
    [2, 50],
    [3, 20],
    [4, 0],
  ])
})
