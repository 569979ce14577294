/** The reason of a failed restart is logged each time and when the supervisor gives up. */
import { describe, expect, test } from 'vitest'
import {
  type ChildSpec,
  cast,
  type GenServer,
  name,
  reply,
  type System,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  stop,
  supervisor,
  telemetry,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import type { Messages } from './telling-children.ts'

describe('the reason why a child was not started again', () => {
  /** Starts once; every later start fails with the next reason. */
  const failing = (reasons: unknown[]): GenServer<Messages, null> => {
    let hasStarted = false
    return {
      init: () => {
        if (hasStarted) return stop(reasons.shift())
        hasStarted = true
        return null
      },
      calls: { app: (state) => reply(undefined, state) },
      casts: { crash: () => stop('crashed', null) },
    }
  }
  const told = async (begin: (spec: ChildSpec, system: System) => Promise<unknown>) => {
    const { system, clock, log } = testSystem()
    const gaveUp: unknown[] = []
    telemetry(system).on('supervisor.gave_up', ({ id, reason }) => void gaveUp.push([id, reason]))
    const named = name<Messages>('it')
    await begin(worker('it', failing(['first', 'second']), undefined, { name: named }), system)
    cast(system.to(named), 'crash')
    await clock.settle()
    const errors = log.lines.filter(({ level, facts }) => level === 'error' && facts?.id === 'it')
    return { gaveUp, errors: errors.map(({ facts }) => facts?.reason) }
  }

  test('is logged each time, and is the reason when its supervisor gives up', async () => {
    const options = { strategy: 'one_for_one', intensity: 2 } as const
    expect(
      await told((spec, system) => startSupervisor(system, supervisor('top', options, [spec]))),
    ).toEqual({ gaveUp: [['it', 'second']], errors: ['first', 'second', 'second'] })
  })

  test('is so under a dynamic supervisor, too', async () => {
    expect(
      await told(async (spec, system) =>
        startDynamicChild(await startDynamicSupervisor(system, { intensity: 2 }), spec),
      ),
    ).toEqual({ gaveUp: [['it', 'second']], errors: ['first', 'second', 'second'] })
  })
})

test('a restart names the child that ended, and in start order those that were restarted with it', async () => {
  const { system, log, settle } = testSystem()
  const server: GenServer<{ calls: object; casts: object }, null> = {
    init: () => null,
    calls: {},
    casts: {},
  }
  const children = ['first', 'second', 'third', 'fourth'].map((id) =>
    worker(id, server, undefined, { name: name(id) }),
  )
  await startSupervisor(system, supervisor('top', { strategy: 'rest_for_one' }, children))

  system.kill(name('second'))
  await settle()

  expect(log.messages('warn')).toEqual([
    'top: second was restarted: killed',
    'top: third was restarted with second',
    'top: fourth was restarted with second',
  ])
})
