/**
 * Machines drawn at random, with a history of events and of time for each: nested and parallel
 * states, history, guards, `always`, `after`, raised and delayed events, invoked and spawned actors,
 * events to the machine itself, and actors inside that answer, some of them as they start.
 */
import fc from 'fast-check'
import {
  type AnyActorLogic,
  type AnyActorRef,
  type AnyStateMachine,
  assign,
  cancel,
  createMachine,
  emit,
  enqueueActions,
  forwardTo,
  fromCallback,
  fromObservable,
  fromPromise,
  fromTransition,
  not,
  sendParent,
  sendTo,
  setup,
  stateIn,
  stopChild,
} from 'xstate'

const guards = ['', 'even', 'odd', 'big', 'in'] as const
const acts = [
  ...(['tell', 'inline', 'add', 'emit', 'raise', 'later', 'cancel', 'spawn', 'stop'] as const),
  ...(['self', 'self later', 'send', 'ask', 'forward', 'assign spawn'] as const),
]
const actors = [
  ...(['child', 'load', 'fail', 'ticker', 'counter'] as const),
  ...(['loud', 'asker', 'quick', 'stream', 'broken'] as const),
]

/** What a transition does. `target` is counted over all states. */
interface Arrow {
  readonly event: number
  readonly target: number | undefined
  readonly reenter: boolean
  readonly guard: (typeof guards)[number]
  readonly acts: readonly (typeof acts)[number][]
}

/** A state; without `kids` it is atomic. */
interface Sketch {
  readonly kids: readonly Sketch[]
  readonly isParallel: boolean
  readonly isFinal: boolean
  readonly history: 'shallow' | 'deep' | undefined
  readonly on: readonly Arrow[]
  readonly always: Arrow | undefined
  readonly after: readonly { readonly ms: number; readonly arrow: Arrow }[]
  readonly entry: Arrow['acts']
  readonly exit: Arrow['acts']
  readonly invoke: (typeof actors)[number] | undefined
  readonly done: Arrow
}

/** An event, or time that passes. */
export type Happening = { readonly event: string } | { readonly ms: number }

const arrow: fc.Arbitrary<Arrow> = fc.record({
  event: fc.nat(3),
  target: fc.option(fc.nat(20), { nil: undefined }),
  reenter: fc.boolean(),
  guard: fc.constantFrom(...guards),
  acts: fc.array(fc.constantFrom(...acts), { maxLength: 3 }),
})

const few = (most: number) => fc.array(fc.constantFrom(...acts), { maxLength: most })

const sketchOf = (depth: number): fc.Arbitrary<Sketch> =>
  fc.record({
    kids: depth === 0 ? fc.constant([]) : fc.array(sketchOf(depth - 1), { maxLength: 3 }),
    isParallel: fc.boolean(),
    isFinal: fc.nat(9).map((drawn) => drawn === 0),
    history: fc.constantFrom(undefined, 'shallow' as const, 'deep' as const),
    on: fc.array(arrow, { maxLength: 3 }),
    always: fc.option(arrow, { nil: undefined, freq: 4 }),
    after: fc.array(fc.record({ ms: fc.integer({ min: 0, max: 5 }), arrow }), { maxLength: 2 }),
    entry: few(2),
    exit: few(2),
    invoke: fc.option(fc.constantFrom(...actors), { nil: undefined, freq: 3 }),
    done: arrow,
  })

/** A drawn machine, as data. */
export const sketches: fc.Arbitrary<Sketch> = fc
  .tuple(sketchOf(2), fc.array(sketchOf(1), { minLength: 2, maxLength: 4 }))
  .map(([root, kids]) => ({ ...root, kids, isFinal: false, invoke: undefined, history: undefined }))

/** A drawn history. */
export const histories: fc.Arbitrary<Happening[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('e0', 'e1', 'e2', 'e3').map((event) => ({ event })) },
    { weight: 1, arbitrary: fc.constantFrom({ event: 'poke' }, { event: 'tick' }) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 30 }).map((ms) => ({ ms })) },
  ),
  { minLength: 5, maxLength: 14 },
)

/** What the machine tells; `step` is its name where it has one. */
export type Tell = (told: readonly unknown[], self: object) => void

type Given = { context: { n: number }; event: { type: string }; self: object }

const child = (tell: Tell) =>
  setup({
    types: {} as { context: { n: number } },
    actions: {
      tell: ({ context, event, self }) => tell(['child', context, event], self),
    },
  }).createMachine({
    id: 'child',
    context: { n: 0 },
    initial: 'a',
    output: ({ context }) => context.n,
    entry: 'tell',
    states: {
      a: {
        on: { poke: { target: 'b', actions: assign({ n: ({ context }) => context.n + 1 }) } },
        after: { 40: 'done' },
      },
      b: {
        entry: ['tell', sendParent({ type: 'e1' })],
        on: { poke: { target: 'a', actions: sendParent({ type: 'e2' }) } },
        after: { 25: 'done' },
      },
      done: { type: 'final', entry: ['tell', sendParent({ type: 'e3' })] },
    },
  })

/** Sends itself an event in the step that starts a callback: it leaves that state with the event. */
const asker = (tell: Tell, loud: AnyActorLogic) =>
  setup({
    types: {} as { context: { n: number } },
    actors: { loud: loud as never },
    actions: { tell: ({ context, event, self }) => tell(['asker', context, event], self) },
  }).createMachine({
    id: 'asker',
    context: { n: 0 },
    initial: 'idle',
    states: {
      idle: {
        on: {
          poke: {
            target: 'asks',
            guard: ({ context }) => context.n < 4,
            actions: assign({ n: ({ context }) => context.n + 1 }),
          },
        },
      },
      asks: {
        entry: [sendTo(({ self }) => self, { type: 'out' }), sendParent({ type: 'e2' }), 'tell'],
        invoke: { id: 'inner', src: 'loud' } as never,
        on: {
          out: { target: 'idle', actions: ['tell', sendParent({ type: 'e3' })] },
          '*': { actions: 'tell' },
        },
      },
    },
  })

/** Is done as it starts. */
const quick = (tell: Tell, answers: number) => {
  let left = answers
  return createMachine({
    id: 'quick',
    initial: 'end',
    output: 'quick',
    states: {
      end: {
        type: 'final',
        entry: [
          ({ self }) => tell(['quick'], self),
          enqueueActions(({ enqueue }) => {
            if (left-- > 0) enqueue(sendParent({ type: 'e2' }))
          }),
        ],
      },
    },
  })
}

/** Tells when it starts and ends, and sends an event back as it starts, and for each that it gets. */
const loud = (tell: Tell) => {
  // Without an end to it, a state could start it anew with each event.
  let left = 12
  return fromCallback(({ sendBack, receive, self }) => {
    tell(['up', self.id], self)
    const back = (type: string): void => {
      if (left-- > 0) sendBack({ type })
    }
    if (left % 3 !== 0) back(`e${left % 4}`)
    receive(({ type }) => {
      tell(['heard', self.id, type], self)
      back('e1')
    })
    return () => tell(['down', self.id], self)
  })
}

const stream = (tell: Tell) =>
  fromObservable(
    ({ self }) =>
      ({
        subscribe: (observer: { next(value: number): void; complete(): void }) => {
          tell(['streams', self.id], self)
          observer.next(1)
          observer.next(2)
          return { unsubscribe: () => tell(['ends', self.id], self) }
        },
      }) as never,
  )

const base = (tell: Tell, answers: number) => {
  const callback = loud(tell)
  return setup({
    actions: {
      tell: ({ context, event, self }: Given, what: unknown) =>
        tell([what, context.n, event.type], self),
    } as never,
    actors: {
      child: child(tell) as never,
      load: fromPromise(async () => 7),
      fail: fromPromise(() => Promise.reject('failed')),
      ticker: fromCallback(({ sendBack, receive }) => {
        receive(() => sendBack({ type: 'e0' }))
      }),
      counter: fromTransition((count: number) => count + 1, 0),
      loud: callback,
      asker: asker(tell, callback) as never,
      quick: quick(tell, answers) as never,
      stream: stream(tell),
      broken: fromCallback(({ self }) => {
        tell(['broken', self.id], self)
        throw new Error('broken')
      }),
    },
  })
}

/**
 * The machine of a sketch. `without` leaves out kinds of actors and of actions, and `answers`: the
 * events of `quick`, which are counted outside of the machine. `laterMs`: the delay of an event that
 * is raised later, by the place of its action.
 */
export const machineOf = (
  sketch: Sketch,
  tell: Tell,
  without: readonly string[] = [],
  laterMs = (at: number): number => 7 + at,
): AnyStateMachine => {
  const ids: string[] = []
  const name = (node: Sketch, id: string): void => {
    if (id !== 'm') ids.push(id)
    node.kids.forEach((kid, index) => void name(kid, `${id}_${index}`))
    if (node.kids.length > 0 && node.history !== undefined) ids.push(`${id}_h`)
  }
  name(sketch, 'm')

  const action = (id: string, act: (typeof acts)[number], at: number): unknown => {
    const later = `later${at % 2}`
    const again = { type: `e${at % 4}` }
    switch (act) {
      case 'tell':
        return { type: 'tell', params: `${id} ${at}` }
      case 'inline':
        return ({ context, self }: Given) => tell([`inline ${id}`, context.n], self)
      case 'add':
        return assign({ n: ({ context }) => context.n + 1 })
      case 'emit':
        return emit(({ context }) => ({ type: 'emitted', n: context.n, id }))
      case 'raise':
        return enqueueActions(({ context, enqueue }) => {
          if (context.n >= 20) return
          enqueue.assign({ n: context.n + 1 })
          enqueue.raise(again)
        })
      case 'later':
        return enqueueActions(({ enqueue }) => {
          enqueue.cancel(later)
          enqueue.raise(again, { id: later, delay: laterMs(at) })
        })
      case 'cancel':
        return cancel(later)
      case 'spawn':
        return enqueueActions(({ context, enqueue }) => {
          if (context.spawned) return
          enqueue.assign({ spawned: true })
          const terms = { id: 'spawned', systemId: 'spawned', syncSnapshot: true }
          enqueue.spawnChild('child' as never, terms as never)
        })
      case 'assign spawn':
        return assign(({ context, spawn }) => {
          if (context.spawned) return {}
          spawn(
            'child' as never,
            { id: 'spawned', systemId: 'spawned', syncSnapshot: true } as never,
          )
          return { spawned: true }
        })
      case 'self':
        return enqueueActions(({ context, enqueue, self }) => {
          if (context.n >= 20) return
          enqueue.assign({ n: context.n + 1 })
          enqueue.sendTo(self as AnyActorRef, again)
        })
      case 'self later':
        return enqueueActions(({ context, enqueue, self }) => {
          if (context.n >= 20) return
          enqueue.assign({ n: context.n + 1 })
          enqueue.cancel(later)
          enqueue.sendTo(self as AnyActorRef, again, { id: later, delay: laterMs(at) })
        })
      case 'send':
        return enqueueActions(({ context, enqueue }) => {
          if (context.n >= 20) return
          enqueue.assign({ n: context.n + 1 })
          enqueue(({ self }) => self.send(again))
        })
      case 'ask':
        return enqueueActions(({ context, system, enqueue }) => {
          const ref = system.get('spawned')
          if (context.n >= 20) return
          enqueue.assign({ n: context.n + 1 })
          if (ref !== undefined) enqueue.sendTo(ref, { type: 'poke' })
        })
      case 'forward':
        return enqueueActions(({ system, event, enqueue }) => {
          const ref = system.get('spawned')
          // An error that is passed on would end the child, and the machine with it.
          if (event.type.startsWith('xstate.')) return
          if (ref !== undefined) enqueue(forwardTo(ref as never) as never)
        })
      case 'stop':
        return stopChild('spawned')
    }
  }
  const actions = (id: string, list: Arrow['acts']): unknown[] =>
    list.filter((act) => !without.includes(act)).map((act, at) => action(id, act, at))

  const guardOf = (guard: Arrow['guard'], target: string): unknown => {
    const isEven = ({ context }: Given): boolean => context.n % 2 === 0
    if (guard === 'even') return isEven
    if (guard === 'odd') return not(isEven as never)
    if (guard === 'big') return ({ context }: Given) => context.n > 3
    return guard === 'in' ? stateIn(`#${target}`) : undefined
  }
  const transition = (id: string, { target, reenter, guard, acts: list }: Arrow) => {
    const drawn = ids[(target ?? 0) % ids.length] as string
    // XState enters a state anew by its own history without leaving it: its timers are set twice.
    const own = drawn.endsWith('_h') && id.startsWith(drawn.slice(0, -2))
    const to = own ? `${drawn.slice(0, -2)}_0` : drawn
    const condition = guardOf(guard, to)
    return {
      ...(target === undefined ? {} : { target: `#${to}`, reenter }),
      ...(condition === undefined ? {} : { guard: condition }),
      actions: actions(id, list),
    }
  }
  const grouped = (id: string, on: readonly Arrow[], src: string | undefined) => {
    const found: Record<string, unknown[]> = {}
    for (const one of on) {
      found[`e${one.event}`] ??= []
      found[`e${one.event}`]?.push(transition(id, one))
    }
    const asks = src === 'ticker' || src === 'loud' ? 'tick' : 'poke'
    if (src !== undefined) found[asks] = [{ actions: sendTo(id, { type: 'poke' }) }]
    return found
  }
  /** What nobody sends counts, so that it ends. */
  const counted = (id: string, one: Arrow, most: number): object[] => {
    const counting = assign({ n: ({ context }: Given) => context.n + 1 } as never)
    const { actions: list, ...rest } = transition(id, { ...one, guard: '' })
    const guard = ({ context }: Given): boolean => context.n < most
    return [{ ...rest, guard, actions: [counting, ...list] }, {}]
  }

  // A transition function tells a last snapshot when it is stopped; XState gives that to its
  // successor, a process does not.
  const snapshots = (src: string) =>
    src === 'counter' ? {} : { onSnapshot: { actions: { type: 'tell', params: src } } }

  const stateOf = (node: Sketch, id: string, isFirst: boolean): Record<string, unknown> => {
    const { kids, done } = node
    if (kids.length === 0 && node.isFinal && !isFirst)
      return { id, type: 'final', tags: [id], entry: actions(id, node.entry), output: 5 }
    const src = without.includes(node.invoke ?? '') ? undefined : node.invoke
    const after = Object.fromEntries(
      node.after.map(({ ms, arrow: one }) => [
        ms * 10,
        ms === 0 ? counted(id, one, 12) : transition(id, one),
      ]),
    )
    const ended = counted(id, done, 15)
    const states: Record<string, unknown> = Object.fromEntries(
      kids.map((kid, index) => [`s${index}`, stateOf(kid, `${id}_${index}`, index === 0)]),
    )
    if (kids.length > 0 && node.history !== undefined)
      states.h = { id: `${id}_h`, type: 'history', history: node.history }
    return {
      id,
      tags: [id],
      entry: actions(id, node.entry),
      exit: actions(id, node.exit),
      on: grouped(id, node.on, src),
      after,
      ...(node.always === undefined ? {} : { always: counted(id, node.always, 9)[0] }),
      ...(src === undefined
        ? {}
        : { invoke: { id, src, onDone: ended, onError: ended, ...snapshots(src) } }),
      ...(kids.length === 0 ? {} : { states }),
      ...(kids.length === 0
        ? {}
        : node.isParallel
          ? { type: 'parallel' }
          : { initial: 's0', onDone: ended }),
    }
  }
  const { always: _, ...config } = stateOf(sketch, 'm', true)
  return base(tell, without.includes('answers') ? 0 : 12).createMachine({
    ...config,
    // The error of an actor comes after events that may have left its state.
    on: { ...(config.on as object), 'xstate.error.*': {} },
    context: { n: 0, spawned: false },
    output: ({ context }: Given) => context.n,
  } as never) as unknown as AnyStateMachine
}
