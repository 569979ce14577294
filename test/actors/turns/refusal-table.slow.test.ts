/**
 * Each kind of turns and each refusal that it can meet, on real durable servers and machines: what
 * comes after it is what the table of `docs/durable-reference.md` says.
 */
import { describe, expect, onTestFinished, test } from 'vitest'
import { assign, fromCallback, fromPromise, setup } from 'xstate'
import { type AfterRefusal, afterRefusal } from '../../../src/actors/turns/decide.ts'
import { ended } from '../../../src/actors/turns/lifetime.ts'
import type { KeelsonError } from '../../../src/errors.ts'
import {
  call,
  cast,
  type DurableContext,
  type DurableServer,
  entity,
  noReply,
  reply,
  send,
  supervisor,
} from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { type Simulation, startSimulated } from '../../../src/testing/index.ts'
import { fillDisk, freeDisk } from '../../support/harm/full-disk.ts'
import { codeOf } from '../../support/worlds/simulated-instance.ts'

type Refusal = 'NO_SPACE' | 'TOO_LARGE' | 'unstorable' | 'LOCKED' | 'index' | 'CONFLICT' | 'ended'

const codes: Record<Refusal, string> = {
  ...{ NO_SPACE: 'NO_SPACE', TOO_LARGE: 'TOO_LARGE', unstorable: 'INVALID_ARGUMENT' },
  ...{ LOCKED: 'LOCKED', index: 'INVALID_ARGUMENT', CONFLICT: 'CONFLICT', ended: 'CONFLICT' },
}

/** The refusal that turns meet now; `undefined`: none does. */
let refusal: Refusal | undefined
const locked = '{probe/LOCKED}:locked'
let handled: string[] = []
/** The code of the change that background work asked for. */
let applied: unknown

type State = { readonly done: readonly string[]; readonly more?: unknown; readonly bad?: boolean }
type Own = DurableContext<Messages>
type Messages = {
  calls: {
    act: () => string
    record: () => void
    fail: () => void
    arm: () => void
    watch: () => void
    work: () => void
    look: () => string
    end: () => void
  }
  casts: { act: () => void }
  infos: { act: () => void; tick: () => void }
  continues: { work: () => void; fail: () => void }
  alarms: { ring: () => void }
}

/** The state after `what` was handled, in a turn that meets the refusal. */
const after = (state: State, what: string, context: Own): State => {
  handled.push(what)
  const next = { done: [...state.done, what] }
  if (refusal === 'TOO_LARGE') return { ...next, more: 'x'.repeat(2_000_000) }
  if (refusal === 'unstorable') return { ...next, more: () => 'a function' }
  if (refusal === 'index') return { ...next, bad: true }
  if (refusal === 'LOCKED') context.writes.put(locked, 1)
  if (refusal === 'CONFLICT') context.journal({ id: 'taken', type: 'probe', command: 'other' })
  return next
}

const probe: DurableServer<Messages, State> = {
  init: () => ({ done: [] }),
  calls: {
    act: (state, _, context) => reply('acted', after(state, 'call', context)),
    record: (state) => reply(undefined, { ...state }, { continue: ['work'] }),
    fail: (state) => reply(undefined, { ...state }, { continue: ['fail'] }),
    arm: (state, _, context) => {
      context.setAlarm('ring', { inMs: 500 })
      return reply(undefined, { ...state })
    },
    watch: (state, _, context) => {
      context.sendAfter(500, 'tick')
      return reply(undefined, { ...state })
    },
    work: (state, _, context) => {
      context.background(async (life) => {
        await asked()
        const change = (now: State, own: Own) => noReply(after(now, 'apply', own))
        applied = await codeOf(life.apply(change))
      })
      return reply(undefined, { ...state })
    },
    look: (state) => reply(state.done.join(), state),
    end: (state, _, context) => {
      context.end({ keepMs: 1_000_000 })
      return reply(undefined, state)
    },
  },
  casts: { act: (state, _, context) => noReply(after(state, 'cast', context)) },
  infos: {
    act: (state, _, context) => noReply(after(state, 'info', context)),
    tick: (state, _, context) => noReply(after(state, 'timer', context)),
  },
  continues: {
    work: async (state, _, context) => {
      // The disk fills while the effect is under way.
      await new Promise<void>((resolve) => context.system.clock.after(500, resolve))
      return noReply(after(state, 'step', context))
    },
    fail: () => {
      throw new Error('no')
    },
  },
  retry: { continues: { fail: { max: 1 } } },
  onFailed: async (state, _, context) => {
    await new Promise<void>((resolve) => context.system.clock.after(500, resolve))
    return noReply(after(state, 'onFailed', context))
  },
  alarms: { ring: (state, _, context) => noReply(after(state, 'alarm', context)) },
  index: ({ bad }) => {
    if (bad) throw new Error('no index')
    return {}
  },
}
const probes = entity('probe', probe)

/** What the actor inside a machine tells, in a turn that meets the refusal. */
const news = (): unknown => {
  handled.push('news')
  if (refusal === 'TOO_LARGE') return 'x'.repeat(2_000_000)
  return refusal === 'unstorable' ? () => 'a function' : refusal === 'index' ? 'bad' : 'good'
}

/** Lets what runs inside machines settle. */
let settles: (() => void)[] = []
const asked = () => new Promise<void>((resolve) => settles.push(resolve))

type Told = { readonly type: string; readonly output?: unknown; readonly error?: KeelsonError }

/** Its actors inside tell `news`. `stubborn`: the turn of its `onError` meets the refusal too. */
const kindOf = (id: string, isStubborn: boolean) => {
  const machine = setup({
    types: {} as { context: { got?: unknown; failed?: string | undefined }; events: Told },
    actors: {
      result: fromPromise(async () => {
        await asked()
        return news()
      }),
      events: fromCallback(({ sendBack }) => {
        void asked().then(() => sendBack({ type: 'told', output: news() }))
      }),
    },
    actions: {
      keep: assign({ got: ({ event }) => (event as Told).output }),
      fail: assign({
        failed: ({ event }) => (event as Told).error?.code,
        got: () => (isStubborn ? news() : undefined),
      }),
    },
  }).createMachine({
    id,
    initial: 'idle',
    context: {},
    states: {
      idle: { on: { result: 'awaiting', events: 'hearing' } },
      awaiting: {
        invoke: {
          src: 'result',
          onDone: { target: 'done', actions: 'keep' },
          onError: { target: 'failed', actions: 'fail' },
        },
      },
      hearing: {
        invoke: { src: 'events', onError: { target: 'failed', actions: 'fail' } },
        on: { told: { target: 'done', actions: 'keep' } },
      },
      done: {},
      failed: {},
    },
  })
  const index = ({ context }: { readonly context: { readonly got?: unknown } }) => {
    if (context.got === 'bad') throw new Error('no index')
    return {}
  }
  return entity(id, StateMachine.durable(machine, { index: index as never }))
}
const machines = kindOf('machine', false)
const stubborn = kindOf('stubborn', true)

type World = Awaited<ReturnType<typeof world>>
const world = async () => {
  handled = []
  settles = []
  refusal = undefined
  const s = await startSimulated({ app: supervisor('app', {}, [probes, machines, stubborn]) })
  onTestFinished(async () => {
    refusal = undefined
    freeDisk(s)
    await s.close()
  })
  const waits: string[] = []
  const failed: string[] = []
  s.system.events.on(
    'entity.waits' as never,
    (({ what }: { what: string }) => {
      waits.push(what)
    }) as never,
  )
  s.system.events.on(
    'entity.failed' as never,
    (({ what }: { what: string }) => {
      failed.push(what)
    }) as never,
  )
  return { s, waits, failed, ref: s.app.entity(probes).ref('LOCKED') }
}

/** What a kind of turn needs before it meets the refusal, and what makes the turn. */
const kinds = {
  call: {
    act: async ({ s, ref }: World) => s.during(codeOf(call(ref, 'act'))),
  },
  apply: {
    prepare: async ({ s, ref }: World) => {
      await call(ref, 'work')
      await s.clock.settle()
    },
    act: async ({ s }: World) => {
      settleAll()
      await s.advance(50)
      return applied
    },
  },
  cast: { act: async ({ ref }: World) => void cast(ref, 'act') },
  info: { act: async ({ ref }: World) => void send(ref, 'act') },
  timer: {
    prepare: ({ ref }: World) => call(ref, 'watch'),
    act: ({ s }: World) => s.advance(1_000),
  },
  step: {
    prepare: ({ ref }: World) => call(ref, 'record'),
    act: ({ s }: World) => s.advance(1_000),
  },
  alarm: {
    prepare: ({ ref }: World) => call(ref, 'arm'),
    act: ({ s }: World) => s.advance(1_000),
  },
  onFailed: {
    prepare: ({ ref }: World) => call(ref, 'fail'),
    act: ({ s }: World) => s.advance(1_000),
  },
  'result of an actor inside': {
    kind: machines,
    prepare: ({ s }: World) => begin(s, machines, 'result'),
    act: async () => settleAll(),
  },
  'event of an actor inside': {
    kind: machines,
    prepare: ({ s }: World) => begin(s, machines, 'events'),
    act: async () => settleAll(),
  },
  'onError of a refused result': {
    kind: stubborn,
    prepare: ({ s }: World) => begin(s, stubborn, 'result'),
    act: async () => settleAll(),
  },
} as const
type Kind = keyof typeof kinds

const begin = async (s: Simulation, kind: typeof machines, type: string) => {
  StateMachine.send(s.app.entity(kind).ref('1') as never, { type } as never)
  await s.advance(50)
}

const settleAll = () => {
  for (const one of settles.splice(0)) one()
}

/** Lets turns meet a refusal from here on. */
const meet = async ({ s, ref }: World, met: Refusal) => {
  if (met === 'NO_SPACE') await fillDisk(s)
  if (met === 'LOCKED')
    await s.during(s.app.store.lock([locked], { owner: 'other', leaseMs: 3_000 }))
  if (met === 'CONFLICT') {
    const entry = { id: 'taken', type: 'probe', command: 'mine' }
    await s.during(s.app.journal.append(entry))
  }
  if (met === 'ended') await s.during(call(ref, 'end'))
  refusal = met
}

const mend = async ({ s }: World) => {
  refusal = undefined
  freeDisk(s)
  await s.advance(70_000)
}

const cells: readonly [Kind, Refusal, AfterRefusal][] = [
  ['call', 'NO_SPACE', 'answer'],
  ['call', 'TOO_LARGE', 'answer'],
  ['call', 'unstorable', 'answer'],
  ['call', 'LOCKED', 'answer'],
  ['call', 'index', 'answer'],
  ['call', 'CONFLICT', 'answer'],
  ['call', 'ended', 'answer'],
  ['apply', 'NO_SPACE', 'answer'],
  ['apply', 'TOO_LARGE', 'answer'],
  ['apply', 'unstorable', 'answer'],
  ['apply', 'LOCKED', 'answer'],
  ['apply', 'index', 'answer'],
  ['apply', 'CONFLICT', 'answer'],
  ['apply', 'ended', 'answer'],
  ['cast', 'NO_SPACE', 'wait'],
  ['cast', 'TOO_LARGE', 'drop'],
  ['cast', 'unstorable', 'drop'],
  ['cast', 'LOCKED', 'drop'],
  ['cast', 'index', 'drop'],
  ['cast', 'CONFLICT', 'drop'],
  ['cast', 'ended', 'drop'],
  ['info', 'NO_SPACE', 'wait'],
  ['info', 'TOO_LARGE', 'drop'],
  ['info', 'unstorable', 'drop'],
  ['info', 'LOCKED', 'drop'],
  ['info', 'index', 'drop'],
  ['info', 'CONFLICT', 'drop'],
  ['info', 'ended', 'drop'],
  ['timer', 'NO_SPACE', 'wait'],
  ['timer', 'TOO_LARGE', 'drop'],
  ['timer', 'unstorable', 'drop'],
  ['timer', 'LOCKED', 'drop'],
  ['timer', 'index', 'drop'],
  ['timer', 'CONFLICT', 'drop'],
  ['timer', 'ended', 'drop'],
  ['step', 'NO_SPACE', 'wait'],
  ['step', 'TOO_LARGE', 'retry'],
  ['step', 'unstorable', 'retry'],
  ['step', 'LOCKED', 'retry'],
  ['step', 'index', 'retry'],
  ['step', 'CONFLICT', 'retry'],
  ['alarm', 'NO_SPACE', 'wait'],
  ['alarm', 'TOO_LARGE', 'retry'],
  ['alarm', 'unstorable', 'retry'],
  ['alarm', 'LOCKED', 'retry'],
  ['alarm', 'index', 'retry'],
  ['alarm', 'CONFLICT', 'retry'],
  ['onFailed', 'NO_SPACE', 'wait'],
  ['onFailed', 'TOO_LARGE', 'park'],
  ['onFailed', 'unstorable', 'park'],
  ['onFailed', 'LOCKED', 'park'],
  ['onFailed', 'index', 'park'],
  ['onFailed', 'CONFLICT', 'park'],
  // The handlers of a machine write nothing to the store, and journal nothing.
  ['result of an actor inside', 'NO_SPACE', 'wait'],
  ['result of an actor inside', 'TOO_LARGE', 'onError'],
  ['result of an actor inside', 'unstorable', 'onError'],
  ['result of an actor inside', 'index', 'onError'],
  ['event of an actor inside', 'NO_SPACE', 'wait'],
  ['event of an actor inside', 'TOO_LARGE', 'onError'],
  ['event of an actor inside', 'unstorable', 'onError'],
  ['event of an actor inside', 'index', 'onError'],
  ['onError of a refused result', 'TOO_LARGE', 'block'],
  ['onError of a refused result', 'unstorable', 'block'],
  ['onError of a refused result', 'index', 'block'],
]

const stateOf = ({ s }: World): readonly string[] =>
  s.app.entity(probes).state('LOCKED')?.done ?? []

const machineOf = ({ s }: World, kind: typeof machines) => {
  const saved = s.app.entity(kind).state('1') as never as {
    readonly value: string
    readonly context: { readonly failed?: string }
  }
  return [saved.value, saved.context.failed]
}

const refusedLines = ({ s }: World) =>
  s.log.lines.filter(({ message }) => message.includes('was refused'))

/** What is seen of each next step. `told`: what the request that made the turn was answered. */
const checks: Record<AfterRefusal, (w: World, kind: Kind, met: Refusal, told: unknown) => unknown> =
  {
    answer: async (w, kind, met, told) => {
      expect(told).toBe(codes[met])
      await mend(w)
      expect([stateOf(w), handled]).toEqual([[], [kind]])
    },
    drop: async (w, kind, met, _told) => {
      expect(refusedLines(w)).toHaveLength(1)
      await mend(w)
      expect([stateOf(w), handled]).toEqual([[], [kind]])
      expect(await w.s.during(codeOf(call(w.ref, 'act')))).toBe(met === 'ended' ? 'CONFLICT' : 'ok')
    },
    wait: async (w, kind) => {
      const ref = 'kind' in kinds[kind] ? w.s.app.entity(machines).ref('1') : w.ref
      const looked =
        'kind' in kinds[kind] ? StateMachine.snapshot(ref as never) : call(w.ref, 'look')
      expect(await w.s.during(codeOf(looked), { withinMs: 1 })).toBe('NO_SPACE')
      await w.s.advance(120_000)
      expect([w.waits.length, handled.length]).toEqual([1, 1])
      await mend(w)
      if ('kind' in kinds[kind]) expect(machineOf(w, machines)).toEqual(['done', undefined])
      else expect([stateOf(w), await w.s.during(call(w.ref, 'look'))]).toEqual([[kind], kind])
      expect([handled.length, refusedLines(w)]).toEqual([1, []])
    },
    retry: async (w, kind) => {
      expect([w.failed.length, stateOf(w)]).toEqual([1, []])
      expect(await w.s.during(codeOf(call(w.ref, 'look')))).toBe('ok')
      await mend(w)
      expect([stateOf(w), new Set(handled)]).toEqual([[kind], new Set([kind])])
      expect(handled.length).toBeGreaterThan(1)
    },
    onError: async (w, _, met) => {
      await w.s.advance(100)
      expect(machineOf(w, machines)).toEqual(['failed', codes[met]])
    },
    block: async (w, _, met) => {
      await w.s.advance(100)
      const handle = w.s.app.entity(stubborn)
      expect([...handle.blocked().keys()]).toEqual(['1'])
      expect(handle.blocked().get('1')?.cause).toMatchObject({ code: codes[met] })
      const ref = handle.ref('1')
      expect(await w.s.during(codeOf(StateMachine.snapshot(ref as never)))).toBe('BLOCKED')
      await mend(w)
      // It has gone to rest meanwhile.
      await w.s.advance(120_000)
      expect(await w.s.during(codeOf(StateMachine.snapshot(ref as never)))).toBe('BLOCKED')
      expect(machineOf(w, stubborn)[0]).toBe('awaiting')
      await handle.unblock('1')
      await w.s.during(StateMachine.snapshot(ref as never))
      settleAll()
      await w.s.advance(100)
      expect(machineOf(w, stubborn)).toEqual(['done', undefined])
    },
    park: async (w, _, met) => {
      const handle = w.s.app.entity(probes)
      const [error] = [...handle.blocked().values()]
      const parked = error?.details.parked as readonly { readonly error: string }[]
      expect(parked.map((each) => each.error.split(':')[0])).toEqual([codes[met]])
      expect(await w.s.during(codeOf(call(w.ref, 'look')))).toBe('ok')
      await mend(w)
      expect([stateOf(w), handled]).toEqual([[], ['onFailed']])
      expect(await w.s.during(handle.unblock('LOCKED'))).toBe(true)
      await w.s.advance(1_000)
      expect([stateOf(w), handle.blocked().size]).toEqual([['onFailed'], 0])
    },
    end: () => undefined,
  }

// An actor that has ended has no steps and alarms. News of actors inside may be late.
test.each(['result', 'failure', 'step', 'alarm', 'onFailed', 'record'] as const)(
  'a %s that an ended actor refuses is dropped, and blocks nothing',
  (kind) => {
    const set = { setting: '', payload: false, at: 1, tries: 0, dueAt: 1, failure: undefined }
    const refused = { error: ended('probe/1', set), isOvertaken: false }
    expect(afterRefusal(kind, refused)).toBe('drop')
    expect(afterRefusal(kind, { ...refused, isOvertaken: true })).toBe('end')
  },
)

describe('the turn of', () => {
  test.each(cells)('%s that meets %s: %s', async (kind, met, next) => {
    const w = await world()
    const { prepare, act } = kinds[kind] as {
      readonly prepare?: (w: World) => Promise<unknown>
      readonly act: (w: World) => Promise<unknown>
    }
    if (prepare) await w.s.during(prepare(w))
    await meet(w, met)
    const told = await act(w)
    await w.s.advance(50)
    await checks[next](w, kind, met, told)
  })
})
