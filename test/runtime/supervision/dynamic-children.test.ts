/** The children of a dynamic supervisor whose restarts fail. */
import { expect, test } from 'vitest'
import {
  type GenServer,
  type Messages,
  startDynamicChild,
  startDynamicSupervisor,
  stop,
  terminateDynamicChild,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import type { Ref } from '../../../src/runtime/words/address.ts'
import { testSystem } from '../../../src/testing/index.ts'

test('a child whose restart failed is terminated by the ref of its last process', async () => {
  const { system, settle } = testSystem()
  let inits = 0
  let fail = (): void => undefined
  const server: GenServer<Messages, number> = {
    init: () => {
      inits++
      if (inits !== 2) return 0
      return new Promise((resolve) => {
        fail = () => resolve(stop('not yet'))
      })
    },
  }
  const crew = await startDynamicSupervisor(system)
  const { ref } = await startDynamicChild(crew, worker('a', server, undefined))
  system.kill(ref as Ref)
  await settle()

  const terminated = terminateDynamicChild(crew, ref as Ref)
  fail()

  expect(await terminated).toBe(true)
  await settle()
  expect([inits, await whichChildren(crew)]).toEqual([2, []])
})
