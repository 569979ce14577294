/** An info that a supervisor or a pool did not send to itself ends nothing, whatever its name. */
import { expect, test } from 'vitest'
import {
  dynamicSupervisor,
  type GenServer,
  Pool,
  type Ref,
  send,
  startSupervisor,
  supervisor,
  whichChildren,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'

type Any = { infos: Record<string, (payload: unknown) => void> }

const idle: GenServer<object, null> = { init: () => null }

const payloads = [
  ...[undefined, 5, {}, { isRestarting: true }, { from: 5 }, { from: 5, spec: {} }],
  ...[{ ok: true }, { ok: false }, { ok: true, value: { ok: true, ref: 5 } }],
]

test.each([
  ['an instance', { instance: 'one' }],
  ['no instance', {}],
])('supervisors of %s go on after infos with the names of their own', async (_, options) => {
  const { system, settle, log } = testSystem()
  const crew = dynamicSupervisor('crew')
  const top = await startSupervisor(
    system,
    supervisor('top', { strategy: 'one_for_one', ...options }, [crew]),
  )
  const before = system.processes().map(({ pid }) => pid)

  for (const { ref } of system.processes())
    for (const info of ['waited', 'opened', 'nonsense'])
      for (const payload of payloads) send(ref as Ref as Ref<Any>, info, payload)
  await settle()

  expect(system.processes().map(({ pid }) => pid)).toEqual(before)
  expect(log.lines).toHaveLength(2 * 3 * payloads.length)
  expect(await whichChildren(top)).toMatchObject([{ id: 'crew', status: 'running' }])
})

test('a pool goes on after infos with the names of its own, and starts no worker for them', async () => {
  const { system, settle } = testSystem()
  const pool = await Pool.start(system, { server: idle, size: 2, intensity: 0 })
  const before = system.processes().map(({ pid }) => pid)

  for (const info of ['waited', 'started', 'nonsense'])
    for (const payload of payloads) send(pool as Ref as Ref<Any>, info, payload)
  await settle()

  expect(system.processes().map(({ pid }) => pid)).toEqual(before)
  expect(await Pool.status(pool)).toMatchObject({ idle: 2, busy: 0 })
})
