/** A wrong message ends no process of an instance: neither its own ones nor the user's supervisors. */

import { expect, test } from 'vitest'
import {
  call,
  cast,
  dynamicSupervisor,
  entity,
  type GenServer,
  ok,
  Pool,
  type Ref,
  Registry,
  send,
  supervisor,
  tableKeeper,
  taskSupervisor,
} from '../../../src/index.ts'
import { outcome, silentLogger } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Any = {
  calls: Record<string, (payload: unknown) => unknown>
  casts: Record<string, (payload: unknown) => void>
  infos: Record<string, (payload: unknown) => void>
}

const started = async () => {
  const simulation = await simulated({
    logger: silentLogger,
    app: supervisor('app', {}, [
      entity('order', { init: () => ok({}), calls: {} }),
      dynamicSupervisor('rooms'),
      taskSupervisor('tasks'),
      tableKeeper('keeper'),
      Registry.childSpec('names', { keys: 'unique' }),
      Pool.childSpec('pool', { server: idle, size: 1 }),
    ]),
  })
  return simulation
}

const idle: GenServer<object, null> = {
  init: () => null,
  accepts: { calls: {}, casts: {}, infos: {} },
}

/** Messages of supervisors and pools, which code outside may send with anything. */
const known = {
  calls: ['startChild', 'terminateChild', 'restartChild', 'deleteChild', 'checkout'],
  casts: ['tryAgain', 'checkin', 'cancel'],
  infos: ['waited', 'opened', 'started', 'table'],
}

test('an unknown message, and a known one with a wrong payload, end no process', async () => {
  const s = await started()
  const { system } = s.app
  const before = system.processes().map(({ ref }) => String(ref))
  const labels = system.processes().map(({ label, name }) => label ?? name)
  expect(labels).toEqual(
    expect.arrayContaining(['keelson', 'shard(0)', 'registry', 'order', 'rooms', 'tasks', 'pool']),
  )

  for (const { ref, kind, label, name } of system.processes()) {
    const to = ref as Ref<Any>
    const who = String(label ?? name ?? kind)
    const refused = outcome(call(to, 'nonsense', 5))
    cast(to, 'nonsense', 5)
    send(to, 'nonsense', 5)
    await s.clock.settle()
    expect(await refused, who).toMatchObject({ error: { code: 'INVALID_ARGUMENT' } })
    for (const wrong of [undefined, 5, {}, []]) {
      for (const each of known.calls) call(to, each, wrong).catch(() => undefined)
      for (const each of known.casts) cast(to, each, wrong)
      for (const each of known.infos) send(to, each, wrong)
      await s.clock.settle()
    }
  }

  expect(system.processes().map(({ ref }) => String(ref))).toEqual(before)
  expect(s.app.health().shards[0]?.phase).toBe('open')
})
