/**
 * Monitors, calls that are handed about, timers and supervised children: what OTP's manual says
 * beyond the recorded traces.
 */
import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  exit,
  type From,
  type GenServer,
  getState,
  name,
  noReply,
  type Ref,
  resume,
  type StartResult,
  startChild,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  statistics,
  stop,
  stopProcess,
  supervisor,
  suspend,
  terminateDynamicChild,
  trace,
  whichChildren,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem } from '../../../src/testing/index.ts'
import * as Runner from '../task/runner.ts'

const world = async (isTrapping = false) => {
  const { system, clock } = testSystem()
  const start = () => system.start(Runner.server, isTrapping)
  return { system, clock, start, runner: await start() }
}

const running = async (of: Ref) => {
  const [child] = await whichChildren(of as Ref<never>)
  return child?.ref
}

const refOf = (result: StartResult): Ref => {
  if (!result.ok) throw new Error('expected a child that has started')
  return result.ref
}

describe('a stop', () => {
  test('fails when the server ends before its turn has come, even as it was asked to', async () => {
    const { clock, runner } = await world()
    Runner.answer(runner, () => stop('normal', []))
    const outcome = stopProcess(runner, 'normal').catch((error: unknown) => error)
    await clock.settle()
    expect(await outcome).toMatchObject({ code: 'EXITED', details: { reason: 'normal' } })
    expect(await outcome).not.toHaveProperty('details.note')
  })

  test('fails with the note stopping when terminate ends otherwise', async () => {
    const { system } = testSystem()
    const server: GenServer<Record<never, never>, null> = {
      init: () => null,
      terminate: () => exit('late'),
    }
    const outcome = await stopProcess(await system.start(server)).catch((error: unknown) => error)
    expect(outcome).toMatchObject({ details: { reason: 'late', note: 'stopping' } })
  })
})

describe('a dynamic supervisor', () => {
  test('lets casts pass that it does not know', async () => {
    const { system } = testSystem()
    const pool = await startDynamicSupervisor(system)
    cast(pool as unknown as Ref<{ casts: { hello: () => void } }>, 'hello')
    expect(await whichChildren(pool as Ref<never>)).toEqual([])
  })

  test('is not told the end of a child that unlinked itself in its init', async () => {
    const { system, clock } = testSystem()
    const pool = await startDynamicSupervisor(system)
    const loose: GenServer<Record<never, never>, null> = {
      init: (_, context) => {
        context.unlink(pool)
        return null
      },
    }
    const result = await startDynamicChild(pool, worker('loose', loose, undefined))
    system.kill(refOf(result))
    await clock.settle()
    expect(await whichChildren(pool as Ref<never>)).toHaveLength(1)
  })
})

describe('a process', () => {
  test('may monitor and link itself: nothing comes of it', async () => {
    const { system, clock, runner } = await world()

    const found = await Runner.run(runner, (context) => {
      const monitor = context.monitor(context.self)
      context.link(context.self)
      return context.demonitor(monitor)
    })
    await clock.settle()

    expect(found).toBe(false)
    expect(await getState(runner)).toEqual([])
    system.kill(runner)
    expect(system.processes()).toEqual([])
  })

  test('is of a process of its own System', async () => {
    const { runner } = await world()
    const foreign = (await world()).runner
    const refused = await Runner.run(runner, (context) => {
      try {
        return context.monitor(foreign)
      } catch (error) {
        return error
      }
    })
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('takes back only monitors of its own', async () => {
    const { start, runner } = await world()
    const [other, target] = [await start(), await start()]
    const monitor = await Runner.run(runner, (context) => context.monitor(target))

    const refused = await Runner.run(other, (context) => {
      try {
        return context.demonitor(monitor)
      } catch (error) {
        return error
      }
    })

    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(await Runner.run(runner, (context) => context.demonitor(monitor))).toBe(true)
    expect(await Runner.run(runner, (context) => context.demonitor(monitor))).toBe(false)
  })
})

describe('a from', () => {
  type Messages = { calls: { ask: () => string } }
  const keeper = (kept: From<string>[]): GenServer<Messages, null> => ({
    init: () => null,
    calls: {
      ask: (state, _, { from }) => {
        kept.push(from)
        return noReply(state)
      },
    },
  })

  test('stands with its last holder, and is answered once', async () => {
    const { system, clock, start, runner: second } = await world()
    const kept: From<string>[] = []
    const [first, third] = [await system.start(keeper(kept)), await start()]
    const answer = call(first, 'ask')
    await clock.settle()

    kept[0]?.handTo(second)
    kept[0]?.handTo(third)
    system.kill(first)
    system.kill(second)

    expect(kept[0]?.reply('answer')).toBe(true)
    expect(kept[0]?.reply('another')).toBe(false)
    expect(kept[0]?.fail(new Error('late'))).toBe(false)
    expect(await answer).toBe('answer')
  })

  test('handed to a name without a holder fails its caller with the note', async () => {
    const { system, clock } = await world()
    const kept: From<string>[] = []
    const answer = call(await system.start(keeper(kept)), 'ask')
    await clock.settle()

    kept[0]?.handTo(system.to(name('nobody')), 'queued')

    await expect(answer).rejects.toMatchObject({
      code: 'EXITED',
      details: { reason: 'noproc', note: 'queued' },
    })
  })
})

describe('a supervised child', () => {
  const options = { strategy: 'one_for_one' } as const
  const started = { label: 'runner' }

  test('that its start function did not link is missed all the same', async () => {
    const { system, clock } = await world()
    const top = await startSupervisor(
      system,
      supervisor('top', options, [
        { id: 'loose', start: (context) => context.system.startResult(Runner.server, false) },
      ]),
    )
    const first = await running(top)

    system.kill(first as Ref)
    await clock.settle()

    const second = await running(top)
    expect(second).not.toBe(first)
    expect(system.info(second as Ref)?.restarts).toBe(1)
  })

  test('that had died when its start function answered is started again', async () => {
    const { system, clock } = await world()
    let starts = 0
    const top = await startSupervisor(
      system,
      supervisor('top', options, [
        {
          id: 'dying',
          start: async (context) => {
            const result = await context.system.startResult(Runner.server, false)
            if (++starts === 1 && result.ok) system.kill(result.ref)
            return result
          },
        },
      ]),
    )
    await clock.settle()

    expect(starts).toBe(2)
    expect(system.info((await running(top)) as Ref)?.status).toBe('waiting')
  })

  test('whose start function returns a name is the holder of it; a name without a holder is a failed start', async () => {
    const { system } = await world()
    const byName = (id: string, isStarted: boolean) => ({
      id,
      start: async (context: Parameters<ReturnType<typeof worker>['start']>[0]) => {
        const named = { ...started, name: name<Runner.Messages>(id) }
        if (isStarted) await context.startLinkResult(Runner.server, false, named)
        return { ok: true as const, ref: system.to(name(id)) }
      },
    })
    const top = await startSupervisor(system, supervisor('top', options, [byName('held', true)]))

    expect(await running(top)).toBe(system.whereis(name('held')))
    expect(await startChild(top, byName('free', false))).toMatchObject({
      ok: false,
      reason: ['noproc', { id: 'free' }],
    })
  })

  test('of a dynamic supervisor is ended by any ref of it', async () => {
    const { system, runner } = await world()
    const top = await startDynamicSupervisor(system)
    const child = await startDynamicChild(top, worker('a', Runner.server, false))

    const ended = await Runner.run(runner, (context) =>
      terminateDynamicChild(top, context.to(child.ref as Ref)),
    )

    expect(ended).toBe(true)
    expect(await whichChildren(top)).toEqual([])
  })

  test('that dies while its supervisor is suspended is started again after resume', async () => {
    const { system, clock } = await world()
    const top = await startSupervisor(
      system,
      supervisor('top', options, [worker('a', Runner.server, false)]),
    )
    const first = await running(top)
    const seen: string[] = []
    await statistics(top, 'on')
    await trace(top, ({ what }) => seen.push(what))

    await suspend(top)
    system.kill(first as Ref)
    await clock.settle()
    expect(seen).toEqual([])
    await resume(top)

    expect(await running(top)).not.toBe(first)
    expect(seen).toEqual(['exit', 'call whichChildren', 'reply'])
    expect(await statistics(top, 'get')).toMatchObject({ messagesIn: 2, messagesOut: 1 })
  })
})
