/**
 * The port through which a process acts on others: whatever its handlers do passes it, in order,
 * and nothing goes around it.
 */
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
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
import { Envelope, kinds } from '../../../src/runtime/words/envelope.ts'
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
    begin: (process, isAwaited) =>
      void hold(isAwaited ? 'start' : 'spawn', () => direct.begin(process, isAwaited)),
    hold: (output) => void hold('output', output),
    ended: (tell) => void hold('ended', () => direct.ended(tell)),
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

  test('a timer that is cancelled before it leaves never runs', async () => {
    const { held, settle, advance, watcher, release } = await world()
    void call(held, 'run', (context) => {
      context.cancelTimer(context.sendAfter(50, 'tick', 'late', watcher.ref))
    })
    await settle()
    release()
    await advance(100)
    expect(watcher.waiting()).toEqual([])
  })

  test('a process that its code starts begins when it leaves', async () => {
    const { held, settle, seen, release } = await world()
    const ran: string[] = []
    const answer = call(held, 'run', (context) => {
      context.spawn(() => ran.push('spawned'))
    })
    await settle()
    expect([seen, ran]).toEqual([['spawn', 'reply done'], []])

    release()
    await settle()
    expect(ran).toEqual(['spawned'])
    expect(await answer).toBe('done')
  })

  test('its end is one of them: links, monitors and callers learn it later', async () => {
    const { system, held, settle, release } = await world()
    const downs: unknown[] = []
    system.monitor(held, (reason) => downs.push(reason))
    const answer = outcome(call(held, 'run', () => undefined))
    await settle()
    system.kill(held)
    await settle()
    expect([system.info(held), downs]).toEqual([undefined, []])

    release()
    await settle()
    expect(downs).toEqual(['killed'])
    expect(await answer).toMatchObject({ ok: true, value: 'done' })
  })

  test('an answer that is on its way has an error of its own for a caller that waited too long', async () => {
    const { held, advance, settle } = await world()
    const { process } = addressOf<Process>(held)
    const answer = outcome(call(held, 'run', () => undefined, { timeoutMs: 50 }))
    await settle()
    process?.owed.first?.release(() => new KeelsonError('UNKNOWN_OUTCOME', 'on its way'))
    await advance(50)
    expect(await answer).toMatchObject({ ok: false, error: { code: 'UNKNOWN_OUTCOME' } })
  })

  test('a call with an id is refused by a process that remembers nothing', async () => {
    const { held } = await world()
    for (const id of ['a', '', 'x'.repeat(257), '\0', '\ud800', 5 as unknown as string])
      await expect(call(held, 'run', () => undefined, { id })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
  })

  test('held when the process ends, settle their callers all the same', async () => {
    const { system, held, settle, release } = await world()
    const answer = outcome(call(held, 'keep'))
    await settle()
    system.kill(held)
    release()
    await settle()

    expect(await answer).toMatchObject({ ok: false, error: { code: 'EXITED' } })
  })
})

test('without a gate every effect takes place at once', () => {
  const seen: string[] = []
  const note = (what: string) => (): true => {
    seen.push(what)
    return true
  }
  direct.send({ admit: note('send') }, new Envelope(kinds.info, 'tick', 1))
  direct.startTimer({ start: note('timer') }, 5)
  direct.exit({ signal: note('exit') }, undefined, 'gone')
  direct.begin({ start: note('begin'), withdraw: note('withdraw') }, false)
  direct.hold(note('output'), note('dropped'))
  direct.ended(note('ended'))
  expect(seen).toEqual(['send', 'timer', 'exit', 'begin', 'output', 'ended'])
})
