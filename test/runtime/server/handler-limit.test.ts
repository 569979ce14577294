/** A server with `handlerTimeoutMs` ends when a handler is pending for too long. */
import { describe, expect, test } from 'vitest'
import {
  type CrashFacts,
  call,
  cast,
  type GenServer,
  noReply,
  reply,
  startSupervisor,
  stop,
  supervisor,
  worker,
} from '../../../src/runtime/index.ts'
import {
  checkAppTree,
  worker as part,
  supervisor as treeOf,
} from '../../../src/supervisors/users-tree/app-tree.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'

type Messages = {
  calls: { wait: (ms: number) => string; quick: () => string }
  casts: { end: () => void; stuckWithin: () => void }
  continues: { never: () => void }
}

const never = (): Promise<never> => new Promise(() => undefined)

/** A server whose handlers wait on the clock of their System. */
const waiting = (log: string[] = []): GenServer<Messages, string> => ({
  init: () => 'state',
  calls: {
    wait: async (state, ms, { system, signal }) => {
      signal.addEventListener('abort', () => log.push('aborted'))
      await new Promise<void>((resolve) => void system.clock.after(ms, resolve))
      return reply('done', state)
    },
    quick: (state) => reply('quick', state),
  },
  casts: {
    end: (state) => stop('normal', state),
    stuckWithin: (state) => noReply(state, { continue: ['never'] }),
  },
  continues: { never },
  terminate: () => void log.push('terminated'),
})

const limited = async (handlerTimeoutMs = 100) => {
  const stage = testSystem()
  const log: string[] = []
  const ref = await stage.system.start(waiting(log), undefined, { label: 'slow', handlerTimeoutMs })
  const ended: unknown[] = []
  stage.system.monitor(ref, (reason) => ended.push(reason))
  return { ...stage, ref, log, ended }
}

const timeout = (message: string) =>
  expect.objectContaining({
    code: 'TIMEOUT',
    details: { reason: 'handler_timeout', message, timeoutMs: 100 },
  })

describe('a handler that is pending for too long', () => {
  test('ends its process with TIMEOUT, and answers those who wait', async () => {
    const { ref, advance, ended } = await limited()
    const waits = outcome(call(ref, 'wait', 101))
    const behind = outcome(call(ref, 'quick'))
    await advance(99)
    expect(ended).toEqual([])
    await advance(1)
    expect(ended).toEqual([timeout('call wait')])
    const exited = { error: { code: 'EXITED', details: { reason: timeout('call wait') } } }
    expect(await waits).toMatchObject(exited)
    expect(await behind).toMatchObject(exited)
  })

  test('is told to stop by its signal; terminate does not run over its state', async () => {
    const { ref, advance, log } = await limited()
    call(ref, 'wait', 1_000).catch(() => undefined)
    await advance(2_000)
    expect(log).toEqual(['aborted'])
  })

  test('is named in the crash report', async () => {
    const { system, ref, advance } = await limited()
    const crashes: CrashFacts[] = []
    system.events.on('process.crashed', (crash) => crashes.push(crash))
    call(ref, 'wait', 1_000).catch(() => undefined)
    await advance(100)
    expect(crashes).toMatchObject([{ state: 'state', lastMessage: { what: 'call wait' } }])
  })

  test('may be a continue', async () => {
    const { ref, advance, ended } = await limited()
    cast(ref, 'stuckWithin')
    await advance(100)
    expect(ended).toEqual([timeout('continue never')])
  })

  test('ends its process only: its supervisor starts it again', async () => {
    const { system, advance, settle } = testSystem()
    const spec = worker('slow', waiting(), undefined, {
      name: 'slow' as never,
      handlerTimeoutMs: 100,
    })
    await startSupervisor(system, supervisor('top', { strategy: 'one_for_one' }, [spec]))
    const ref = system.to<Messages>('slow' as never)
    call(ref, 'wait', 1_000).catch(() => undefined)
    await settle()
    await advance(100)
    expect(await call(ref, 'quick')).toBe('quick')
  })
})

describe('a terminate that is pending for too long', () => {
  const hanging: GenServer<{ casts: { crash: () => void; end: () => void } }, null> = {
    init: () => null,
    casts: {
      crash: () => {
        throw new Error('a bug')
      },
      end: (state) => stop('normal', state),
    },
    terminate: never,
  }

  test.each(['crash', 'end'] as const)(
    'frees the name after a %s, and the supervisor starts the server again',
    async (how) => {
      const { system, advance, settle } = testSystem()
      const spec = worker('db', hanging, undefined, { name: 'db' as never, handlerTimeoutMs: 100 })
      await startSupervisor(system, supervisor('top', { strategy: 'one_for_one' }, [spec]))
      const first = system.whereis('db' as never)
      cast(first as never, how as never)
      await advance(99)
      expect(system.whereis('db' as never)).toBe(first)
      await advance(1)
      await settle()
      expect(system.info('db' as never)).toMatchObject({ status: 'waiting', restarts: 1 })
    },
  )

  test('ends it with TIMEOUT for its reason, and keeps the first one as the cause', async () => {
    const { system, advance } = testSystem()
    const ref = await system.start(hanging, undefined, { handlerTimeoutMs: 100 })
    const ended: unknown[] = []
    system.monitor(ref, (reason) => ended.push(reason))
    cast(ref, 'crash')
    await advance(100)
    expect(ended).toEqual([timeout('terminate')])
    expect(ended).toMatchObject([{ cause: { message: 'a bug' } }])
  })
})

describe('the limit', () => {
  test('begins anew with each handler, and leaves no timer behind', async () => {
    const { ref, advance, clock, settle, ended } = await limited()
    for (let each = 0; each < 3; each++) {
      const answer = call(ref, 'wait', 60, { timeoutMs: Number.POSITIVE_INFINITY })
      await advance(60)
      expect(await answer).toBe('done')
    }
    await settle()
    expect([ended, clock.untilNext()]).toEqual([[], undefined])
  })

  test('does not run for init, which has a limit of its own', async () => {
    const { system, advance } = testSystem()
    const slow: GenServer<Messages, string> = {
      ...waiting(),
      init: async (_, context) => {
        await new Promise<void>((resolve) => void context.system.clock.after(500, resolve))
        return 'state'
      },
    }
    const started = system.startResult(slow, undefined, { handlerTimeoutMs: 100 })
    await advance(500)
    expect(await started).toMatchObject({ ok: true })
  })

  test.each([Number.NaN, '5', null])('is refused unless it is a time: %j', async (found) => {
    const { system } = testSystem()
    const options = { handlerTimeoutMs: found as never }
    await expect(system.start(waiting(), undefined, options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

  test('may be written in a tree as data', () => {
    const made = (handlerTimeoutMs: number) =>
      treeOf('top', {}, [part('a', './a.ts', { handlerTimeoutMs })])
    const refusal = (path: string) =>
      expect.objectContaining({ code: 'CONFIG', details: expect.objectContaining({ path }) })
    expect(() => checkAppTree(made(100))).not.toThrow()
    expect(() => made(0)).toThrow(refusal('a.handlerTimeoutMs'))
    const read = JSON.parse(JSON.stringify(made(100)).replace('100', '0'))
    expect(() => checkAppTree(read)).toThrow(refusal('app.children[0].options.handlerTimeoutMs'))
  })
})
