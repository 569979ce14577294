/** Nothing of a turn leaves before its unit is durable. The disk of these tests holds back. */

import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableContext,
  type DurableServer,
  entity,
  type GenServer,
  KeelsonError,
  name,
  noReply,
  type Ref,
  reply,
  stop,
  stopReply,
  supervisor,
  sys,
  worker,
} from '../../../src/index.ts'
import { encodeValue, noExpiry } from '../../../src/storage/index.ts'
import type { Simulation } from '../../../src/testing/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

/** Notes everything that reaches it. */
type Witness = {
  calls: { ask: (what: string) => string }
  casts: { note: (what: string) => void }
  infos: { noted: (what: string) => void }
}

const seen: string[] = []

const witness: GenServer<Witness, null> = {
  init: (_, context) => {
    context.trapExit(true)
    return null
  },
  calls: {
    ask: (state, what) => {
      seen.push(what)
      return reply('answered', state)
    },
  },
  casts: {
    note: (state, what) => {
      seen.push(what)
      return noReply(state)
    },
  },
  infos: {
    noted: (state, what) => {
      seen.push(what)
      return noReply(state)
    },
  },
  exit: (state, { reason }) => {
    seen.push(`exit ${String(reason)}`)
    return noReply(state)
  },
  down: (state, { reason }) => {
    seen.push(`down ${String(reason)}`)
    return noReply(state)
  },
}

type Act = (context: DurableContext<Actor>) => unknown

type Actor = {
  calls: { act: (act: Act) => number; end: (act: Act) => number; keep: () => void }
  casts: { end: () => void; pass: () => void }
  infos: { tick: () => void }
}

/** Changes its state in each turn, and does what it is told. */
const actor: DurableServer<Actor, number> = {
  init: () => 0,
  calls: {
    act: async (state, act, context) => {
      await act(context)
      return reply(state + 1, state + 1)
    },
    end: (state, act, context) => {
      act(context)
      return stopReply('normal', state + 1, state + 1)
    },
    keep: (state) => noReply(state),
  },
  casts: {
    pass: (state, _, context) => {
      cast(watcherOf(context), 'note', 'passed')
      return noReply(state)
    },
    end: (state) => {
      seen.push('end')
      return stop('normal', state + 1)
    },
  },
  infos: {
    tick: (state) => {
      seen.push('tick')
      return noReply(state)
    },
  },
}

const actors = entity('actor', actor)

/** A machine whose disk answers after `holdMs` from now on. An entity and a witness live on it. */
const holdMs = 1_000
const held = async () => {
  seen.length = 0
  const s = await simulated({
    app: supervisor('app', {}, [actors, worker('witness', witness)]),
  })
  const ref = s.app.entity(actors).ref('1')
  await s.during(call(ref, 'act', () => undefined))
  s.syncMs = holdMs
  return { s, ref, watcher: s.system.to(name<Witness>('witness')) }
}

const entry = { key: 'a', value: encodeValue(1), expiry: noExpiry }

/** Whether `work` has settled. */
const watched = (work: Promise<unknown>): (() => boolean) => {
  let isSettled = false
  const settled = (): void => {
    isSettled = true
  }
  work.then(settled, settled)
  return () => isSettled
}

/** What the witness has seen just before the disk answers, and after. */
const heldBack = async (s: Simulation): Promise<string[]> => {
  await s.advance(holdMs - 1)
  return [...seen]
}

const witnessName = name<Witness>('witness')

const watcherOf = (context: DurableContext<Actor>): Ref<Witness> => context.to(witnessName)

/** Everything that a turn can send, and what the witness sees of it. */
const outputs: readonly (readonly [what: string, Act, string])[] = [
  ['a cast', (context) => void cast(watcherOf(context), 'note', 'cast'), 'cast'],
  ['context.cast', (context) => void context.cast(witnessName, 'note', 'cast'), 'cast'],
  [
    'context.castAfter',
    (context) => void context.castAfter(0, 'note', 'cast', witnessName),
    'cast',
  ],
  ['an info', (context) => void context.send(name<Witness>('witness'), 'noted', 'info'), 'info'],
  ['an exit signal', (context) => context.exit(name('witness'), 'sent'), 'exit sent'],
  [
    'a spawned process',
    (context) =>
      void context.spawn(() => {
        seen.push('spawned')
      }),
    'spawned',
  ],
  ['a timer', (context) => void context.sendAfter(0, 'tick'), 'tick'],
]

describe('with a disk that holds back its sync nothing of a turn leaves:', () => {
  test.each(outputs)('%s waits for the unit of its turn', async (_, act, trace) => {
    const { s, ref } = await held()
    void call(ref, 'act', act)
    expect(await heldBack(s)).toEqual([])
    await s.advance(2)
    expect(seen).toEqual([trace])
  })

  test('a reply waits, and so does every look at the state', async () => {
    const { s, ref } = await held()
    const isAnswered = watched(call(ref, 'act', () => undefined))
    await heldBack(s)
    expect(isAnswered()).toBe(false)
    expect(await sys.getState(ref)).toBe(1)
    expect(s.app.entity(actors).state('1')).toBe(1)
    await s.advance(1)
    expect(isAnswered()).toBe(true)
    expect(await sys.getState(ref)).toBe(2)
    expect(s.app.entity(actors).state('1')).toBe(2)
  })

  test('a turn that changed nothing leaves behind those before it', async () => {
    const { s, ref } = await held()
    void call(ref, 'act', () => undefined)
    cast(ref, 'pass')
    expect(await heldBack(s)).toEqual([])
    await s.advance(1)
    expect(seen).toEqual(['passed'])
  })

  test.each<[string, Act]>([
    ['call', (context) => call(watcherOf(context), 'ask', 'call')],
    ['context.call', (context) => context.call(witnessName, 'ask', 'call')],
  ])(
    'a %s that a handler awaits leaves when the state is durable that it was given',
    async (_, ask) => {
      const { s, ref } = await held()
      void call(ref, 'act', () => undefined)
      const asked = call(ref, 'act', ask)
      expect(await heldBack(s)).toEqual([])
      await s.advance(1)
      expect(seen).toEqual(['call'])
      expect(await s.during(asked)).toBe(3)
    },
  )

  test.each<[string, Act, string]>([
    ['call', (context) => context.call(witnessName, 'ask', 'call'), 'call'],
    ['cast', (context) => void context.cast(witnessName, 'note', 'cast'), 'cast'],
    ['send', (context) => void context.send(witnessName, 'noted', 'send'), 'send'],
  ])('a %s goes to the process that has the name when it leaves', async (_, act, trace) => {
    const { s, ref, watcher } = await held()
    void call(ref, 'act', () => undefined)
    const acted = call(ref, 'act', act)
    await s.advance(1)
    s.system.kill(watcher)
    await heldBack(s)
    expect(await s.during(acted)).toBe(3)
    expect(seen).toEqual([trace])
  })

  test('an info wakes the entity that it is for, which rests when it leaves', async () => {
    const { s, ref } = await held()
    const other = s.app.entity(actors).ref('2')
    s.syncMs = 0
    await s.during(call(other, 'act', () => undefined))
    s.syncMs = holdMs

    const acted = call(ref, 'act', (context) => void context.send(other, 'tick'))
    await s.advance(1)
    await s.app.entity(actors).stop('2')
    expect(seen).toEqual([])

    await s.during(acted)
    await s.settle()
    expect(seen).toEqual(['tick'])
  })

  test('a server that a handler starts begins when the state is durable that it was given', async () => {
    const { s, ref } = await held()
    const started: GenServer<Record<never, never>, null> = {
      init: () => {
        seen.push('started')
        return null
      },
    }
    void call(ref, 'act', () => undefined)
    const starting = call(ref, 'act', (context) => context.start(started))
    expect(await heldBack(s)).toEqual([])
    await s.advance(1)
    expect(seen).toEqual(['started'])
    expect(await s.during(starting)).toBe(3)
  })

  test.each<[string, (app: DurableContext['app']) => unknown]>([
    ['a put', ({ store }) => store.put('a', 1)],
    ['a put with a lock', ({ store }) => store.lockedPut('a', 1, { owner: 'actor' })],
    ['an update', ({ store }) => store.update('a', () => 1)],
    ['a batch', ({ store }) => store.batch().put('a', 1).commit()],
    ['a command', ({ batcher }) => batcher.write(0, { kind: 'put', ...entry })],
    ['a batch of commands', ({ batcher }) => batcher.writePutBatch(0, [entry])],
  ])('%s through context.app waits in the same way', async (_, write) => {
    const { s, ref } = await held()
    void call(ref, 'act', () => undefined)
    void call(ref, 'act', ({ app }) => {
      void write(app)
    })
    // At once it would leave with the second turn.
    await s.advance(2 * holdMs)
    expect([s.app.entity(actors).state('1'), s.app.store.get('a')]).toEqual([3, undefined])
    await s.advance(holdMs)
    expect(s.app.store.get('a')).toBe(1)
  })

  test('a read through context.app waits for nothing', async () => {
    const { s, ref } = await held()
    void call(ref, 'act', () => undefined)
    void call(ref, 'act', ({ app }) => {
      seen.push(`${app.store.get('none')} ${app.store.has('none')}`)
    })
    expect(await heldBack(s)).toEqual(['undefined false'])
  })

  test('a write that would be admitted at once is refused', async () => {
    const { s, ref } = await held()
    const from = { reply: () => true, fail: () => true } as never
    const acted = call(ref, 'act', ({ app }) => {
      expect(() => app.batcher.writePutBatchAsync(0, [entry], from)).toThrow(KeelsonError)
      expect(() => app.batcher.writeDeleteBatchAsync(0, ['a'], from)).toThrow(KeelsonError)
    })
    expect(await s.during(acted)).toBe(2)
  })

  test('a message to an entity of context.app is a message of the turn', async () => {
    const { s, ref } = await held()
    void call(ref, 'act', (context) => {
      cast(context.app.entity(actors).ref('2'), 'end')
    })
    expect(await heldBack(s)).toEqual([])
    await s.advance(1)
    expect(seen).toEqual(['end'])
  })

  test('the end of the process is told to links, monitors and callers behind its last unit', async () => {
    const { s, ref, watcher } = await held()
    const monitored: unknown[] = []
    s.system.monitor(ref, (reason) => void monitored.push(reason))
    const kept = codeOf(call(ref, 'keep', undefined, { timeoutMs: 60_000 }))
    const isSettled = watched(kept)
    const ending = call(ref, 'end', (context) => context.link(watcher))
    const isEnded = watched(ending)
    await heldBack(s)
    expect([seen, monitored, isSettled(), isEnded()]).toEqual([[], [], false, false])
    await s.advance(1)
    expect(await ending).toBe(2)
    expect(await kept).toBe('EXITED')
    expect([seen, monitored]).toEqual([['exit normal'], ['normal']])
  })

  test('a killed process is dead for others when its turns are durable', async () => {
    const { s, ref, watcher } = await held()
    const ended = call(ref, 'act', (context) => context.link(watcher))
    const inHand = codeOf(call(ref, 'act', () => new Promise(() => undefined)))
    const waiting = codeOf(call(ref, 'act', () => undefined))
    await s.settle()
    const monitored: unknown[] = []
    s.system.monitor(ref, (reason) => void monitored.push(reason))
    s.system.kill(ref)
    await heldBack(s)
    expect([seen, monitored]).toEqual([[], []])
    await s.advance(1)
    expect(await Promise.all([ended, inHand, waiting])).toEqual([2, 'EXITED', 'EXITED'])
    expect([seen, monitored]).toEqual([['exit killed'], ['killed']])
  })

  test('a plain cast passes the gate, also one to itself, and the log says where', async () => {
    const { s, ref } = await held()
    void call(ref, 'act', (context) => {
      cast(context.system.to(witnessName), 'note', 'plain')
      cast(context.self, 'pass')
    })
    expect(await heldBack(s)).toEqual(['plain'])
    const noted = s.log.lines.filter(({ facts }) => facts?.code === 'NO_SENDER')
    expect(noted.map(({ message }) => message.split(' in its')[0])).toEqual([
      "actor/1: cast(witness, 'note')",
      expect.stringMatching(/^actor\/1: cast\(<\d+>, 'pass'\)$/),
    ])
  })

  test('of a turn that throws nothing leaves, and those before it are released', async () => {
    const { s, ref } = await held()
    const first = call(ref, 'act', () => undefined)
    const thrown = codeOf(
      call(ref, 'act', (context) => {
        cast(watcherOf(context), 'note', 'never')
        context.spawn(() => void seen.push('never'))
        throw new Error('no')
      }),
    )
    await heldBack(s)
    await s.advance(10 * holdMs)
    expect([await first, await thrown, seen]).toEqual([2, 'EXITED', []])
    expect(s.app.entity(actors).state('1')).toBe(2)
  })
})

describe('pipelining', () => {
  test('64 turns of one entity take the time of few syncs, in order', async () => {
    const { s, ref } = await held()
    s.syncMs = 10
    const answers: number[] = []
    const calls = Array.from({ length: 64 }, () =>
      call(ref, 'act', () => undefined).then((answer) => void answers.push(answer)),
    )
    await s.advance(35)
    await Promise.all(calls)
    expect(answers).toEqual(Array.from({ length: 64 }, (_, at) => at + 2))
  })

  test('no more turns than the pipeline holds are under way', async () => {
    seen.length = 0
    const narrow = entity('actor', actor, { pipeline: 4 })
    const s = await simulated({ app: supervisor('app', {}, [narrow]), syncMs: 10 })
    const ref = s.app.entity(narrow).ref('1')
    const calls = Array.from({ length: 8 }, (_, at) =>
      call(ref, 'act', () => void seen.push(`${at}`)),
    )
    await s.advance(1)
    expect(seen).toEqual(['0', '1', '2', '3'])
    expect(await s.during(Promise.all(calls))).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })
})
