import { describe, expect, test, vi } from 'vitest'
import { isKeelsonError, KeelsonError } from '../../../src/errors.ts'
import {
  type BareContext,
  call,
  type GenServer,
  name,
  noReply,
  Registry,
  startChild,
  startDynamicSupervisor,
  startSupervisor,
  stop,
  stopProcess,
  supervisor,
  Task,
  TaskSupervisor,
  worker,
} from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'

describe('a promise that fails before its process awaits it is not an unhandled rejection', () => {
  const unhandledIn = async (body: (context: BareContext) => Promise<void>): Promise<unknown> => {
    const { system, clock } = testSystem()
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    try {
      const reasons: unknown[] = []
      system.monitor(system.spawn(body), (reason) => reasons.push(codeOf(reason)))
      await clock.advance(100)
      await new Promise((resolve) => setImmediate(resolve))
      expect(unhandled).not.toHaveBeenCalled()
      return reasons[0]
    } finally {
      process.off('unhandledRejection', unhandled)
    }
  }
  const codeOf = (reason: unknown): unknown => (isKeelsonError(reason) ? reason.code : reason)
  const keeper: GenServer<{ calls: { ask: () => number } }, null> = {
    init: () => null,
    calls: { ask: (state) => noReply(state) },
  }

  test('a call whose target ends while another is awaited; awaited, it is thrown', async () => {
    const ended = await unhandledIn(async (context) => {
      const first = await context.start(keeper)
      const second = await context.start(keeper)
      const one = call(context.to(first), 'ask', undefined, { timeoutMs: 50 })
      const other = call(context.to(second), 'ask')
      context.exit(second, 'kill')
      await one.catch(() => undefined)
      await other
    })
    expect(ended).toBe('EXITED')
  })

  test('a call that is refused at once', async () => {
    const ended = await unhandledIn(async (context) => {
      const gone = call(context.to(name<{ calls: { ask: () => number } }>('nobody')), 'ask')
      await context.sleep(10)
      await gone
    })
    expect(ended).toBe('NO_PROCESS')
  })

  test('a call whose linked target takes the caller along', async () => {
    const ended = await unhandledIn(async (context) => {
      const first = await context.start(keeper)
      const linked = await context.startLink(keeper)
      const calls = [call(context.to(first), 'ask'), call(context.to(linked), 'ask')]
      context.exit(linked, 'broken')
      for (const each of calls) await each
    })
    expect(ended).toBe('broken')
  })

  test('a task that crashes while another is awaited', async () => {
    const ended = await unhandledIn(async (context) => {
      const slow = Task.await(Task.async(context, (task) => task.sleep(50)))
      const failing = Task.await(
        Task.async(context, () => {
          throw new KeelsonError('CONFLICT', 'it failed')
        }),
      )
      await slow
      await failing
    })
    expect(ended).toBe('CONFLICT')
  })

  test('a start, a sleep and a wait for nothing', async () => {
    const ended = await unhandledIn(async (context) => {
      function* broken(): Generator<number> {
        yield* []
        throw new Error('broken')
      }
      const waits = [
        context.start({ init: () => stop('no') }, undefined),
        context.startLinkResult({ init: () => 0 }, undefined, { mailboxMax: 0 }),
        context.sleep(Number.NaN),
        context.receive(Number.NaN),
        Task.await(0 as never),
        Task.asyncStream(context, broken(), () => 0).next(),
      ]
      await context.sleep(10)
      for (const each of waits) expect(await outcome(each)).toMatchObject({ ok: false })
    })
    expect(ended).toBe('normal')
  })

  test('an abandoned stop, request or start of a tree', async () => {
    const ended = await unhandledIn(async (context) => {
      const crashing = await context.start(keeper)
      const bad = worker('bad', { init: () => stop('no') }, undefined)
      const nobody = context.to(name<never>('nobody'))
      void stopProcess(context.to(crashing), 'normal')
      void stopProcess(nobody)
      void StateMachine.call(nobody, { type: 'go' } as never, {})
      void StateMachine.call(nobody, 'no event' as never, {})
      void TaskSupervisor.children(nobody)
      void TaskSupervisor.async(context, name<never>('nobody'), () => 0)
      void startChild(nobody, bad)
      void startSupervisor(context, supervisor('top', { strategy: 'one_for_one' }, [bad]))
      void startSupervisor(context, 'no tree' as never)
      void startDynamicSupervisor(context, { intensity: -1 })
      void Registry.start(context, { keys: 'neither' as never })
      context.exit(crashing, 'kill')
      context.trapExit(true)
      await context.sleep(10)
    })
    expect(ended).toBe('normal')
  })

  test('but a plain one, from outside, is a promise like any other', async () => {
    const { system } = testSystem()
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    try {
      void stopProcess(system.to(name('nobody')))
      void startSupervisor(system, 'no tree' as never)
      await new Promise((resolve) => setImmediate(resolve))
      expect(unhandled).toHaveBeenCalledTimes(2)
    } finally {
      process.off('unhandledRejection', unhandled)
    }
  })
})
