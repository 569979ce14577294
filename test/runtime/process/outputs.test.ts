/**
 * The port through which a process acts on others: whatever its handlers do passes it, in order,
 * and nothing goes around it.
 */
import { describe, expect, test } from 'vitest'
import {
  type Context,
  call,
  cast,
  type From,
  type GenServer,
  noReply,
  type Ref,
  reply,
} from '../../../src/runtime/index.ts'
import { direct, type Outputs } from '../../../src/runtime/process/outputs.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { outcome, testSystem } from '../../../src/testing/index.ts'

type Messages = {
  calls: {
    run: (work: (context: Context<Messages>) => unknown) => string
    keep: () => string
    wait: (other: Ref<Messages>) => string
  }
  casts: { answer: () => void; told: (what: string) => void }
  infos: { tick: (what: string) => void }
}

type State = From<string> | undefined

const server: GenServer<Messages, State> = {
  init: (_, context) => {
    context.trapExit(true)
    return undefined
  },
  calls: {
    run: (state, work, context) => {
      work(context as Context<Messages>)
      return reply('done', state)
    },
    keep: (_, __, { from }) => noReply(from),
    wait: async (state, other, context) =>
      reply(await call(context.to(other), 'run', () => undefined), state),
  },
  casts: {
    answer: (from) => {
      from?.reply('kept')
      return noReply(undefined)
    },
    told: (state) => noReply(state),
  },
  infos: { tick: (state) => noReply(state) },
}

/** Holds what leaves, and notes it, until `release`. */
const holding = () => {
  const held: (() => void)[] = []
  const seen: string[] = []
  const hold = (what: string, leave: () => void): true => {
    seen.push(what)
    held.push(leave)
    return true
  }
  const outputs: Outputs = {
    send: (target, message) => hold(`send ${message.name}`, () => direct.send(target, message)),
    answering: (pending) => ({
      caller: pending.caller,
      reply: (value) => hold(`reply ${value}`, () => pending.reply(value)),
      fail: (error) => hold('fail', () => pending.fail(error)),
      handTo: (target, note) => pending.handTo(target, note),
    }),
    startTimer: (timer, ms) => void hold(`timer ${ms}`, () => direct.startTimer(timer, ms)),
    exit: (target, from, reason) =>
      void hold(`exit ${reason}`, () => direct.exit(target, from, reason)),
  }
  return {
    outputs,
    seen,
    release: () => {
      for (const leave of held.splice(0)) leave()
    },
  }
}

const world = async () => {
  const { system, clock, settle, advance, probe } = testSystem()
  const held = await system.start(server)
  const port = holding()
  const { process } = addressOf<Process>(held)
  if (process) process.outputs = port.outputs
  return { system, clock, settle, advance, held, watcher: probe<Messages>(), ...port }
}

describe('the outputs of a process', () => {
  test('all pass its port, in the order in which its handler made them', async () => {
    const { held, settle, watcher, seen, release } = await world()
    const answer = call(held, 'run', (context) => {
      cast(context.to(watcher.ref), 'told', 'bound')
      context.send(watcher.ref, 'tick', 'sent')
      context.exit(watcher.ref, 'away')
    })
    await settle()

    expect(seen).toEqual(['send told', 'send tick', 'exit away', 'reply done'])
    expect(watcher.waiting()).toEqual([])
    release()
    await settle()
    expect(watcher.waiting()).toMatchObject([
      { kind: 'cast', name: 'told' },
      { kind: 'info', name: 'tick' },
      { kind: 'exit', reason: 'away' },
    ])
    expect(await answer).toBe('done')
  })

  test('a timer runs from the moment at which it leaves', async () => {
    const { held, settle, advance, watcher, seen, release } = await world()
    void call(held, 'run', (context) => context.sendAfter(50, 'tick', 'late', watcher.ref))
    await advance(100)
    expect([seen, watcher.waiting()]).toEqual([['timer 50', 'reply done'], []])

    release()
    await advance(49)
    expect(watcher.waiting()).toEqual([])
    await advance(1)
    expect(watcher.waiting()).toHaveLength(1)
    await settle()
  })

  test('the answer of a call that was kept is one, whichever handler gives it', async () => {
    const { held, settle, seen, release } = await world()
    const kept = call(held, 'keep')
    cast(held, 'answer')
    await settle()
    expect(seen).toEqual(['reply kept'])

    release()
    expect(await kept).toBe('kept')
  })

  test('a call that a handler awaits leaves the port in the middle of its turn', async () => {
    const { system, held, settle, seen, release } = await world()
    const other = await system.start(server)
    const answer = call(held, 'wait', other)
    await settle()
    expect(seen).toEqual(['send run'])

    release()
    await settle()
    expect(seen).toEqual(['send run', 'reply done'])
    release()
    expect(await answer).toBe('done')
  })

  test('held when the process ends, settle their callers all the same', async () => {
    const { system, held, settle } = await world()
    const answer = outcome(call(held, 'run', () => undefined))
    await settle()
    system.kill(held)
    await settle()

    expect(await answer).toMatchObject({ ok: false, error: { code: 'EXITED' } })
  })
})
