/** A turn that waits for space on a full disk: what is behind it, and how the wait ends. */

import { describe, expect, test } from 'vitest'
import { assign, fromCallback, fromPromise, setup } from 'xstate'
import { afterRefusal } from '../../../src/actors/turns/decide.ts'
import { KeelsonError } from '../../../src/errors.ts'
import {
  call,
  cast,
  type DurableServer,
  entity,
  name,
  noReply,
  ok,
  reply,
  stop,
  supervisor,
} from '../../../src/index.ts'
import { stopProcess } from '../../../src/runtime/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { fillDisk, freeDisk } from '../../support/harm/full-disk.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: {
    add: (what: string) => string
    slow: (ms: number) => string
    keep: () => string
    trap: () => void
  }
  casts: { add: (what: string) => void; slow: (ms: number) => void; end: () => void }
  continues: { work: () => void }
}

let worked = 0

const pause = (system: Simulation['system'], ms: number) =>
  new Promise<void>((resolve) => system.clock.after(ms, resolve))

/** Its state is the list of what was added. */
const list: DurableServer<Messages, string> = {
  init: () => '',
  calls: {
    add: (state, what) => reply(state + what, state + what),
    slow: async (state, ms, { system }) => {
      await pause(system, ms)
      return reply(`${state}?`, `${state}?`)
    },
    keep: (state) => noReply(`${state}k`),
    trap: (state, _, context) => {
      context.trapExit(true)
      return reply(undefined, state)
    },
  },
  casts: {
    add: (state, what) => noReply(state + what),
    slow: async (state, ms, context) => {
      context.addContinue('work')
      await pause(context.system, ms)
      return noReply(`${state}s`)
    },
    end: (state) => stop('normal', `${state}e`),
  },
  continues: {
    work: (state) => {
      worked++
      return noReply(`${state}w`)
    },
  },
}

const patient = { timeoutMs: Number.POSITIVE_INFINITY }

const full = async (pipeline = 64) => {
  worked = 0
  const lists = entity('list', list, { pipeline })
  const s = await simulated({ app: supervisor('app', {}, [lists]) })
  const handle = s.app.entity(lists)
  const ref = handle.ref('1')
  await s.during(call(ref, 'add', 'a'))
  await fillDisk(s)
  const state = () => s.app.entity(lists).state('1')
  const isRefused = async () =>
    (await s.during(codeOf(call(ref, 'add', '!', patient)), { withinMs: 1 })) === 'NO_SPACE'
  const refusals = () => s.log.lines.filter(({ message }) => message.includes('was refused'))
  return { s, ref, handle, state, isRefused, refusals }
}

describe('behind a turn that waits for space', () => {
  test('casts keep their order, also those that the pipeline has no room for', async () => {
    const { s, ref, state, isRefused } = await full(3)
    for (const what of 'bcdefghij') cast(ref, 'add', what)
    await s.advance(10_000)
    expect([state(), await isRefused()]).toEqual(['a', true])
    freeDisk(s)
    await s.advance(2_000)
    expect(state()).toBe('abcdefghij')
    expect(await s.during(call(ref, 'add', 'k'))).toBe('abcdefghijk')
  })

  test('calls are refused at once: in the log, in the mailbox, while a step waits', async () => {
    const { s, ref, state, isRefused } = await full(3)
    const calls = []
    for (const what of 'bcdefg') {
      cast(ref, 'add', what)
      calls.push(codeOf(call(ref, 'add', '!', patient)))
    }
    cast(ref, 'slow', 0)
    expect(await s.during(Promise.all(calls), { withinMs: 100 })).toEqual(Array(6).fill('NO_SPACE'))
    for (let at = 0; at < 5; at++) {
      await s.advance(700)
      expect(await isRefused()).toBe(true)
    }
    freeDisk(s)
    await s.advance(2_000)
    expect([state(), worked]).toEqual(['abcdefgsw', 1])
  })

  test('a call whose handler runs is refused at once, and its turn is taken back', async () => {
    const { s, ref, state, isRefused } = await full()
    cast(ref, 'add', 'b')
    const slow = codeOf(call(ref, 'slow', 500, patient))
    expect(await s.during(slow, { withinMs: 20 })).toBe('NO_SPACE')
    expect(await isRefused()).toBe(true)
    freeDisk(s)
    await s.advance(2_000)
    expect(await s.during(call(ref, 'add', 'c'))).toBe('abc')
    expect(state()).toBe('abc')
  })

  test.each(['delete', 'stop'] as const)('a %s is refused, and leaves nothing', async (end) => {
    const { s, ref, handle, state } = await full()
    const { pid } = ref
    cast(ref, 'add', 'b')
    const early = [codeOf(handle[end]('1')), codeOf(handle[end]('1'))]
    expect(await s.during(Promise.all(early), { withinMs: 100 })).toEqual(['NO_SPACE', 'NO_SPACE'])
    expect(await s.during(codeOf(handle[end]('1')), { withinMs: 1 })).toBe('NO_SPACE')
    freeDisk(s)
    await s.advance(2_000)
    expect([state(), ref.pid]).toEqual(['ab', pid])
  })

  test('calls are told SHARD_DOWN once the shard is down, and the turn waits for its reopening', async () => {
    const { s, ref, state, isRefused } = await full()
    cast(ref, 'add', 'b')
    await s.advance(1_000)
    expect(await isRefused()).toBe(true)
    await s.during(stopProcess(s.system.to(name('shard(0)')), 'normal'))
    expect(await s.during(codeOf(call(ref, 'add', '!', patient)))).toBe('SHARD_DOWN')
    freeDisk(s)
    await s.during(s.app.control.reopen(0))
    await s.advance(2_000)
    expect(state()).toBe('ab')
  })

  test('a call with an id is not remembered as refused', async () => {
    const { s, ref } = await full()
    cast(ref, 'add', 'b')
    const id = { id: 'one', timeoutMs: 1_000 }
    expect(await s.during(codeOf(call(ref, 'add', 'c', id)))).toBe('NO_SPACE')
    freeDisk(s)
    await s.advance(2_000)
    expect(await s.during(call(ref, 'add', 'c', id))).toBe('abc')
    expect(await s.during(call(ref, 'add', 'c', id))).toBe('abc')
  })
})

describe('the wait for space ends', () => {
  test('with the end that the turn asked for', async () => {
    const { s, ref, state, isRefused } = await full()
    const { pid } = ref
    cast(ref, 'end')
    await s.advance(5_000)
    expect([await isRefused(), ref.pid]).toEqual([true, pid])
    freeDisk(s)
    await s.advance(2_000)
    expect(state()).toBe('ae')
  })

  test('with a kill: the turn is cut off, which is logged, and the next process answers', async () => {
    const { s, ref, state, isRefused, refusals } = await full()
    cast(ref, 'add', 'b')
    cast(ref, 'add', 'c')
    await s.advance(5_000)
    s.system.kill(ref)
    await s.advance(10)
    expect(refusals()).toHaveLength(2)
    freeDisk(s)
    expect(await s.during(call(ref, 'add', 'd'))).toBe('ad')
    expect([state(), await isRefused()]).toEqual(['ad', false])
  })

  test('with a close, which says what was cut off and takes no time', async () => {
    const { s, ref, refusals } = await full()
    cast(ref, 'add', 'b')
    await s.advance(5_000)
    const before = s.clock.monotonic()
    await s.close()
    expect(s.clock.monotonic() - before).toBeLessThan(1_000)
    expect(refusals().map(({ message }) => message.slice(0, 29))).toEqual([
      'list/1: cast add was refused:',
    ])
  })

  test.each([
    ['behind a step', ['slow']],
    ['behind a full pipeline', ['add', 'add', 'add', 'add', 'add']],
    ['in its own end', ['end']],
  ])('with a close, also of an actor that traps exits and waits %s', async (_, casts) => {
    const { s, ref, state } = await full(3)
    freeDisk(s)
    await s.during(call(ref, 'trap'))
    await fillDisk(s)
    for (const name of casts) cast(ref, name as 'end', (name === 'add' ? 'b' : 0) as never)
    await s.advance(5_000)
    expect(state()).toBe('a')
    const before = s.clock.monotonic()
    await s.close()
    expect(s.clock.monotonic() - before).toBeLessThan(1_000)
  })

  test('with the shard: the turn is durable when that is open again', async () => {
    const { s, ref, state } = await full()
    cast(ref, 'add', 'b')
    await s.advance(1_000)
    s.system.kill(s.system.to('wal_writer(0)' as never) as never)
    freeDisk(s)
    await s.advance(5_000)
    expect(state()).toBe('ab')
  })
})

describe('what the actor records for itself', () => {
  test('waits for space when its init makes it, and calls are refused meanwhile', async () => {
    const born: DurableServer<
      { calls: { look: () => number }; continues: { go: () => void } },
      number
    > = {
      init: () => ok(1, { continue: ['go'] }),
      calls: { look: (state) => reply(state, state) },
      continues: { go: (state) => noReply(state + 1) },
    }
    const kind = entity('born', born)
    const s = await simulated({ app: supervisor('app', {}, [kind]) })
    await fillDisk(s)
    const ref = s.app.entity(kind).ref('1')
    expect(await s.during(codeOf(call(ref, 'look')), { withinMs: 100 })).toBe('NO_SPACE')
    freeDisk(s)
    await s.advance(2_000)
    expect(await s.during(call(ref, 'look'))).toBe(2)
  })

  test('blocks it when not even that can be stored', async () => {
    type Failing = {
      calls: { begin: () => void; look: () => number }
      continues: { go: () => void }
    }
    const failing = (
      version: number,
      isLarge: boolean,
    ): DurableServer<Failing, { n: number; more?: string }> => ({
      version,
      migrate: (state) => ({
        ...(state as { n: number }),
        ...(isLarge && { more: 'x'.repeat(2_000_000) }),
      }),
      init: () => ({ n: 0 }),
      calls: {
        begin: (state) => reply(undefined, { ...state, n: 1 }, { continue: ['go'] }),
        look: (state) => reply(state.n, state),
      },
      continues: {
        go: () => {
          throw new Error('the bank is away')
        },
      },
    })
    const kind = (version: number, isLarge: boolean) => entity('failing', failing(version, isLarge))
    const s = await simulated({ app: supervisor('app', {}, [kind(1, false)]) })
    await s.during(call(s.app.entity(kind(1, false)).ref('1'), 'begin'))
    await s.advance(10)
    await s.close()
    await s.start({ app: supervisor('app', {}, [kind(2, true)]) })
    await s.advance(120_000)
    const handle = s.app.entity(kind(2, true))
    expect(handle.blocked().get('1')?.cause).toMatchObject({ code: 'TOO_LARGE' })
    expect(await s.during(codeOf(call(handle.ref('1'), 'look')))).toBe('BLOCKED')
  })
})

describe('a machine whose turn was refused', () => {
  let settle = (): void => undefined
  let begun = 0
  const machine = setup({
    types: {} as {
      context: { got: string }
      events: { type: 'note'; text: string } | { type: 'look' }
    },
    actors: {
      work: fromPromise(() => {
        begun++
        return new Promise<string>((resolve) => {
          settle = () => resolve('result')
        })
      }),
    },
  }).createMachine({
    id: 'm',
    context: { got: '' },
    initial: 'working',
    on: { note: { actions: assign({ got: ({ event }) => event.text }) }, look: {} },
    states: { working: { invoke: { src: 'work', onDone: 'done' } }, done: {} },
  })
  const kind = entity(
    'm',
    StateMachine.durable(machine, { answers: { note: () => 'noted', look: ({ value }) => value } }),
  )
  const large = { type: 'note', text: 'x'.repeat(2_000_000) } as const
  const working = async () => {
    begun = 0
    const s = await simulated({ app: supervisor('app', {}, [kind]) })
    const ref = s.app.entity(kind).ref('1') as never
    await s.during(StateMachine.call(ref, { type: 'look' } as never))
    const note = () => s.during(codeOf(StateMachine.call(ref, large as never)))
    const value = () => s.during(StateMachine.call(ref, { type: 'look' } as never))
    return { s, note, value }
  }

  test('does not lose the result of an actor inside, which is not started again', async () => {
    const { s, note, value } = await working()
    expect(await note()).toBe('TOO_LARGE')
    settle()
    await s.advance(10)
    expect([await value(), begun]).toEqual(['done', 1])
  })

  test('starts it again by itself after a second refusal', async () => {
    const { s, note, value } = await working()
    expect([await note(), await note()]).toEqual(['TOO_LARGE', 'TOO_LARGE'])
    await s.advance(60_000)
    expect(begun).toBe(2)
    settle()
    await s.advance(10)
    expect(await value()).toBe('done')
  })
})

describe('what an actor inside a machine tells after a turn that is refused', () => {
  let tell = (_text: string): void => undefined
  const machine = setup({
    types: {} as {
      context: { got: string }
      events: { type: 'told'; text: string } | { type: 'note'; text: string }
    },
    actors: {
      teller: fromCallback(({ sendBack }) => {
        tell = (text) => sendBack({ type: 'told', text })
      }),
    },
    actions: {
      add: assign({ got: ({ context, event }) => context.got + event.text }),
    },
  }).createMachine({
    id: 'm',
    context: { got: '' },
    invoke: { src: 'teller' },
    on: { told: { actions: 'add' }, note: { actions: 'add' } },
  })
  const kind = entity('m', StateMachine.durable(machine, { answers: { note: () => 'noted' } }))
  const telling = async () => {
    const s = await simulated({ app: supervisor('app', {}, [kind]) })
    const ref = s.app.entity(kind).ref('1') as never
    const note = (text: string) =>
      codeOf(StateMachine.call(ref, { type: 'note', text } as never, patient))
    await s.during(note('0'))
    await s.advance(10)
    const got = () => (s.app.entity(kind).state('1') as { context: { got: string } }).context.got
    return { s, note, got }
  }

  test('arrives once the disk has space, all of it and in order', async () => {
    const { s, note, got } = await telling()
    await fillDisk(s)
    tell('1')
    const refused = note('!')
    for (const text of '234') tell(text)
    expect(await s.during(refused, { withinMs: 100 })).toBe('NO_SPACE')
    freeDisk(s)
    await s.advance(2_000)
    expect(got()).toBe('01234')
  })

  test('arrives although two turns were too large', async () => {
    const { s, note, got } = await telling()
    const large = 'x'.repeat(2_000_000)
    const refused = [note(large)]
    for (const text of '12') tell(text)
    refused.push(note(large))
    for (const text of '345') tell(text)
    expect(await s.during(Promise.all(refused))).toEqual(['TOO_LARGE', 'TOO_LARGE'])
    await s.advance(100)
    expect(got()).toBe('012345')
  })
})

test('a machine without an onError is blocked by a refused result, and its other actors end', async () => {
  let ends = 0
  const machine = setup({
    types: {} as { context: { got?: unknown }; events: { type: 'look' } },
    actors: {
      work: fromPromise(async () => 'x'.repeat(2_000_000)),
      watch: fromCallback(() => () => void ends++),
    },
  }).createMachine({
    id: 'm',
    context: {},
    initial: 'working',
    on: { look: {} },
    states: {
      working: {
        invoke: [
          { src: 'work', onDone: { actions: assign({ got: ({ event }) => event.output }) } },
          { src: 'watch' },
        ],
      },
    },
  })
  const kind = entity('m', StateMachine.durable(machine))
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  const ref = s.app.entity(kind).ref('1') as never
  StateMachine.send(ref, { type: 'look' } as never)
  const output = codeOf(StateMachine.output(ref, patient))
  await s.advance(100)
  expect(s.app.entity(kind).blocked().get('1')?.cause).toMatchObject({ code: 'TOO_LARGE' })
  expect(ends).toBe(1)
  expect(await output).toBe('BLOCKED')
})

test('a unit that another incarnation overtook ends the process, whatever it was', () => {
  const error = new KeelsonError('NO_SPACE', 'full')
  for (const kind of [
    'call',
    'message',
    'result',
    'failure',
    'step',
    'alarm',
    'record',
    'birth',
  ] as const) {
    expect(afterRefusal(kind, { error, isOvertaken: true })).toBe('end')
    expect(afterRefusal(kind, { error, isOvertaken: false })).toBe(
      kind === 'call' ? 'answer' : 'wait',
    )
  }
})
