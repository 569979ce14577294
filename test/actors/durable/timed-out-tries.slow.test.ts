/**
 * A try of a step or an alarm that exceeds `handlerTimeoutMs`: it has failed, and can do nothing
 * more. Nor can one whose process was killed.
 */

import { afterEach, expect, test } from 'vitest'
import { setup } from 'xstate'
import {
  type Batch,
  call,
  cast,
  type DurableContext,
  type DurableServer,
  entity,
  type GenServer,
  noReply,
  type Ref,
  reply,
  send,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Messages = {
  calls: { work: () => void; ring: () => void; note: () => void; look: () => readonly string[] }
  infos: { heard: () => void }
  continues: { work: () => void }
  alarms: { ring: () => void; late: () => void }
}
type Own = DurableContext<Messages>
type WitnessMessages = { calls: { ask: () => number }; casts: { tell: () => void } }

let begun = 0
/** The code of a try: how it goes on once it is let go. */
let code: (context: Own, until: Promise<void>) => unknown = () => undefined
let release: () => void = () => undefined
let told = 0

afterEach(() => {
  begun = told = 0
})

const run = (context: Own): unknown => {
  begun++
  return code(
    context,
    new Promise<void>((resolve) => {
      release = resolve
    }),
  )
}

const server: DurableServer<Messages, readonly string[]> = {
  init: () => [],
  calls: {
    work: (state) => reply(undefined, [...state, 'asked'], { continue: ['work'] }),
    ring: (state, _, context) => {
      context.setAlarm('ring', { inMs: 10 })
      return reply(undefined, [...state, 'set'])
    },
    note: (state) => reply(undefined, [...state, 'noted']),
    look: (state) => reply(state, state),
  },
  infos: { heard: (state) => noReply([...state, 'heard']) },
  continues: {
    work: async (state, _, context) => {
      await run(context)
      return noReply([...state, 'worked'])
    },
  },
  alarms: {
    ring: async (state, _, context) => {
      await run(context)
      return noReply([...state, 'rung'])
    },
    late: (state) => noReply([...state, 'late']),
  },
}

const witness: GenServer<WitnessMessages, null> = {
  init: () => null,
  calls: { ask: (state) => reply(++told, state) },
  casts: {
    tell: (state) => {
      told++
      return noReply(state)
    },
  },
}

const world = async () => {
  const kind = entity('slow', server, { handlerTimeoutMs: 100 })
  const s = await simulated({
    app: supervisor('app', {}, [kind, worker('witness', witness)]),
  })
  const ref = s.app.entity(kind).ref('1')
  return { s, ref, state: () => s.app.entity(kind).state('1') }
}

test.each(['work', 'ring'] as const)(
  '%s is tried again after its back-off, and callers are answered by the same process',
  async (what) => {
    const { s, ref } = await world()
    code = () => new Promise(() => undefined)
    await s.during(call(ref, what))
    const { pid } = ref
    await s.advance(50)
    const looked = call(ref, 'look')
    await s.advance(100)

    expect(await looked).toHaveLength(1)
    expect(s.app.health().actors.failing.first).toMatchObject([
      { tries: 1, error: expect.stringContaining('TIMEOUT') },
    ])
    await s.advance(60_000)
    expect([begun, ref.pid]).toEqual([7, pid])
  },
)

test('a late value of a try is dropped', async () => {
  const { s, ref, state } = await world()
  const releases: (() => void)[] = []
  code = (_, until) => {
    releases.push(release)
    return until
  }
  await s.during(call(ref, 'work'))
  await s.advance(1_150)
  expect(begun).toBe(2)
  releases[0]?.()
  await s.advance(10)
  expect(state()).toEqual(['asked'])
  releases[1]?.()
  await s.advance(10)
  expect(state()).toEqual(['asked', 'worked'])
})

test('the signal of a try aborts at its time-out, and not that of the next try', async () => {
  const { s, ref } = await world()
  const signals: AbortSignal[] = []
  code = (context, until) => {
    signals.push(context.signal)
    return until
  }
  await s.during(call(ref, 'work'))
  await s.advance(90)
  expect(signals.map(({ aborted }) => aborted)).toEqual([false])
  await s.advance(1_060)
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
  expect(signals[0]?.reason).toMatchObject({ code: 'CLOSED' })
})

test('the signal of a try that ended well aborts no more; one that runs aborts with its actor', async () => {
  const { s, ref } = await world()
  const signals: AbortSignal[] = []
  code = (context, until) => {
    signals.push(context.signal)
    return signals.length === 1 ? undefined : until
  }
  await s.during(call(ref, 'work'))
  await s.advance(10)
  await s.during(call(ref, 'work'))
  await s.advance(10)
  s.app.system.kill(ref)
  await s.advance(0)
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true])
  expect(signals[1]?.reason).toMatchObject({ code: 'EXITED' })
})

test('a signal that is first read after the time-out has aborted', async () => {
  const { s, ref } = await world()
  let late: AbortSignal | undefined
  code = async (context, until) => {
    await until
    late = context.signal
  }
  await s.during(call(ref, 'work'))
  await s.advance(150)
  release()
  await s.advance(0)
  expect(late?.aborted).toBe(true)
})

/** What the code of a try may do, with what it took before its time-out. */
const deeds: Record<string, (context: Own) => () => unknown> = {
  setAlarm: (context) => () => context.setAlarm('late', { inMs: 1 }),
  cancelAlarm: (context) => () => context.cancelAlarm('late'),
  addContinue: (context) => () => context.addContinue('work'),
  writes: (context) => () => context.writes.put('{slow/1}:late', 1),
  'writes that it has kept': ({ writes }) => {
    const kept = writes as Batch
    return () => kept.put('{slow/1}:late', 1)
  },
  'rows that it has kept':
    ({ rows }) =>
    () =>
      rows.put('late', 1),
  'work in the background': (context) => () => context.background(async () => undefined),
  'context.call': (context) => () => context.call('witness' as never, 'ask' as never),
  'context.cast': (context) => () => context.cast('witness' as never, 'tell' as never),
  journal: (context) => () =>
    context.journal({ id: 'late', type: 'late', command: 1 } as Parameters<Own['journal']>[0]),
  send: (context) => () => context.send(context.self, 'heard'),
  sendAfter: (context) => () => context.sendAfter(1, 'heard'),
  pipe: (context) => () => context.pipe(Promise.resolve(), 'heard'),
  'a cast to a ref': (context) => () =>
    cast(context.to('witness' as never) as Ref<WitnessMessages>, 'tell'),
  'a cast to a ref that it has kept': (context) => {
    const kept = context.to('witness' as never) as Ref<WitnessMessages>
    return () => cast(kept, 'tell')
  },
  'a send to a ref that it has kept': (context) => {
    const kept = context.to(context.self) as Ref<Messages>
    return () => send(kept, 'heard')
  },
  'a call to a ref that it has kept': (context) => {
    const kept = context.to('witness' as never) as Ref<WitnessMessages>
    return () => call(kept, 'ask')
  },
  'a put of app.store': (context) => () => context.app.store.put('late', 1),
  'a put of an app.store that it has kept': ({ app: { store } }) => {
    return () => store.put('late', 1)
  },
  'a call to an entity that it has kept': ({ app }) => {
    const kept = app.entity<Messages>('slow').ref('2')
    return () => call(kept, 'note')
  },
}

test.each(Object.keys(deeds))(
  '%s of a try that timed out throws, and lands nowhere',
  async (name) => {
    const { s, ref, state } = await world()
    const late: unknown[] = []
    code = async (context, until) => {
      const deed = deeds[name]?.(context)
      await until
      try {
        await deed?.()
        late.push('done')
      } catch (error) {
        late.push((error as { code?: string }).code)
      }
      await new Promise(() => undefined)
    }
    await s.during(call(ref, 'work'))
    await s.advance(150)
    // Another turn is at hand when the late code runs.
    const noted = call(ref, 'note')
    release()
    await s.during(noted)
    await s.advance(500)

    expect(late).toEqual(['CLOSED'])
    expect([state(), told, begun]).toEqual([['asked', 'noted'], 0, 1])
    const { store } = s.app
    expect([store.get('late'), store.get('{slow/1}:late')]).toEqual([undefined, undefined])
    expect(s.app.entity('slow').state('2')).toBeUndefined()
  },
)

test.each(['ends', 'throws'])(
  'a try that %s after its process was killed changes nothing, and counts as no failed one',
  async (end) => {
    const { s, ref, state } = await world()
    code = async (_, until) => {
      if (begun > 1) return
      await until
      if (end === 'throws') throw new Error('late')
    }
    await s.during(call(ref, 'work'))
    await s.advance(10)
    s.app.system.kill(ref)
    release()
    await s.advance(10)

    expect([begun, state(), s.app.health().actors.failing.count]).toEqual([1, ['asked'], 0])
    expect(await s.during(call(ref, 'look'))).toEqual(['asked', 'worked'])
    expect([begun, s.log.lines]).toEqual([2, []])
  },
)

test('a late call to itself by a kept ref does not disturb the tries that follow', async () => {
  const { s, ref, state } = await world()
  let isFirst = true
  code = async (context, until) => {
    if (!isFirst) return
    isFirst = false
    await until
    context.setAlarm('late', { inMs: 1 })
  }
  await s.during(call(ref, 'work'))
  await s.advance(150)
  release()
  await s.advance(5_000)

  expect(state()).toEqual(['asked', 'worked'])
})

test('the same parts of a try that succeeds act', async () => {
  const { s, ref, state } = await world()
  code = async (context) => {
    context.setAlarm('late', { inMs: 1 })
    context.writes.put('{slow/1}:late', 1)
    expect(context.writes.size).toBe(1)
    cast(context.to('witness' as never) as Ref<WitnessMessages>, 'tell')
    await context.app.store.put('late', 1)
    await call(context.app.entity<Messages>('slow').ref('2'), 'note')
  }
  await s.during(call(ref, 'work'))
  await s.advance(50)

  const { store } = s.app
  expect([store.get('late'), store.get('{slow/1}:late'), told]).toEqual([1, 1, 1])
  expect([state(), s.app.entity('slow').state('2')]).toEqual([
    ['asked', 'worked', 'late'],
    ['noted'],
  ])
})

test('a throw ends a try in the same way', async () => {
  const { s, ref, state } = await world()
  let late: Promise<unknown> | undefined
  code = (context, until) => {
    late = until.then(() => context.setAlarm('late', { inMs: 1 }))
    throw new Error('no')
  }
  await s.during(call(ref, 'work'))
  await s.settle()
  release()

  expect(await codeOf(late as Promise<unknown>)).toBe('CLOSED')
  await s.advance(100)
  expect(state()).toEqual(['asked'])
})

test('onFailed that exceeds the time parks the step', async () => {
  const kind = entity(
    'slow',
    { ...server, retry: { max: 1 }, onFailed: () => new Promise<never>(() => undefined) },
    { handlerTimeoutMs: 100 },
  )
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  code = () => {
    throw new Error('no')
  }
  const ref = s.app.entity(kind).ref('1')
  await s.during(call(ref, 'work'))
  await s.advance(500)

  expect(s.app.health().actors.parked.first).toMatchObject([
    { what: 'continue work', tries: 1, error: expect.stringContaining('TIMEOUT') },
  ])
  expect(await s.during(call(ref, 'look'))).toEqual(['asked'])
})

test('a machine keeps its process over the tries of its effects', async () => {
  let fails = 2
  const machine = setup({
    actions: {
      act: () => {
        if (fails-- > 0) throw new Error('no')
        told++
      },
    },
  }).createMachine({
    initial: 'idle',
    states: { idle: { on: { go: 'gone' } }, gone: { entry: 'act' } },
  })
  const kind = entity('machine', StateMachine.durable(machine), { handlerTimeoutMs: 100 })
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  StateMachine.send(s.app.entity(kind).ref('1'), { type: 'go' } as never)
  await s.advance(5_000)

  expect([told, s.app.entity(kind).state('1')?.actions]).toEqual([1, []])
})
