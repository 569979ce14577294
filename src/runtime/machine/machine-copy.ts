/**
 * A look at the copy of XState that a machine comes from, before the machine runs: apart from the
 * door, whose private names it tries. npm may install a later minor of XState, and an application
 * may bring another copy. A renamed field would not throw: a child would start before the state
 * is saved, or an event would pass the mailbox by. So a small machine of that copy lives through a
 * fixed history, and what it did and saved is compared with what it has to be.
 */
import {
  type AnyActorLogic,
  type AnyActorRef,
  type AnyStateMachine,
  type EventObject,
  fromObservable,
  type Subscribable,
} from 'xstate'
import { KeelsonError } from '../../errors.ts'
import { describeReason } from '../words/exit-reason.ts'
import { isMachineLogic } from './machine-door.ts'
import type { StepsHost } from './machine-host.ts'
import { ActionNames } from './machine-names.ts'
import type { MachinePlan } from './machine-plan.ts'
import { MachineSteps } from './machine-steps.ts'
import type { Delayed } from './machine-timers.ts'
import type { SavedAction } from './machine-words.ts'

/** The class of a copy's machines. */
type Copy = AnyStateMachine['constructor']

/** The copies that machines of this process came from, each tried once. */
class Copies {
  readonly #faults = new WeakMap<Copy, { readonly fault: string | undefined }>()

  /** The first difference of a copy; `undefined`: there is none. */
  faultOf(copy: Copy): string | undefined {
    const known = this.#faults.get(copy) ?? { fault: faultOf(copy) }
    this.#faults.set(copy, known)
    return known.fault
  }
}

const copies = new Copies()

/**
 * Throws `CONFIG` when the copy of XState that `machine` comes from works in another way than the
 * one that machines are run with here.
 */
export const expectKnownCopy = (machine: AnyStateMachine): void => {
  const fault = copies.faultOf(machine.constructor)
  if (fault === undefined) return
  throw new KeelsonError(
    'CONFIG',
    `machine ${machine.id} comes from a copy of xstate that is not supported (5.33 is): ${fault}`,
    { details: { path: 'machine', fault } },
  )
}

const faultOf = (copy: Copy): string | undefined => {
  let found: readonly string[]
  try {
    found = new Trial(copy).live()
  } catch (error) {
    return `the trial machine fails: ${describeReason(error)}`
  }
  const at = Array.from({ length: Math.max(found.length, expected.length) }).findIndex(
    (_, index) => found[index] !== expected[index],
  )
  return at < 0 ? undefined : `expected '${expected[at]}', found '${found[at]}'`
}

/** A line for each thing that the machine of a trial does and saves. */
const expected: readonly string[] = `
known true
saved work:busy,turn:one in order talker:path:[x:1/0],ticker:path:[ticker]
actors x:1/0 talker true active, ticker ticker true tick trial/1/0 active, worker worker active,value:at,context:,,,
owes start:init:0 event:ticker:5:context:input end:init:0 end:init:0 action:listen:0 timer:after.10:0 end:init:0 event:x:1/0:3 event:x:1/0:3
timers
effect trial/1/0 false
arm after.10 10
actors x:1/0 talker true active, ticker ticker true tick trial/1/0 active,context:1, worker worker active,value:at,context:,,,
owes action:listen:0 end:init:0 event:x:1/0:3 event:x:1/0:3 event:ticker:5:context:input event:ticker:5:context:input
timers after.10 10
effect trial/1/1 true
stepped x:1/0
stepped x:1/0
stepped ticker
owes action:note:5:context:input end:init:0 event:ticker:5:context:input
effect trial/3/0 true
noted type snapshot
stepped ticker
owes action:note:5:context:input end:init:0
effect trial/4/0 true
is work:busy,turn:one
stepped turn
saved work:busy,turn:two in order talker:path:[x:1/0],ticker:path:[ticker]
owes
is work:busy,turn:two
stepped finish
owes action:finish:0 end:init:0
effect trial/6/0 true
stepped x:1/0
stepped done.actor.worker
disarm after.10
saved work:idle,turn:two [0,1,5,7,3] talker:path:[x:1/0],ticker:path:[ticker]
actors x:1/0 talker true active, ticker ticker true tick trial/1/0 active,context:1,
owes
timers
effect trial/7/0 false
heard said
is work:idle,turn:two
saved work:busy,turn:two in order talker:path:[x:1/0],ticker:path:[ticker]
actors x:1/0 talker true active, ticker ticker true tick trial/1/0 active,context:1, worker worker active,value:at,context:,,,
owes
effect trial/1/0 false
stepped ticker
owes action:note:2 end:init:0 end:init:0
effect trial/6/0 true
is work:busy,turn:two
stepped after.10
saved work:late,turn:two [0,1,5,7,4] talker:path:[x:1/0],ticker:path:[ticker]
actors x:1/0 talker true active, ticker ticker true tick trial/1/0 active,context:1,
owes
timers
is work:late,turn:two
`
  .trim()
  .split('\n')

/** Inside the machine, logic that is written by hand: it emits what it hears. */
const talker: AnyActorLogic = {
  getInitialSnapshot: () => ({ status: 'active', output: undefined, error: undefined }),
  transition: (snapshot, { type }, { emit }) => {
    if (type === 'talk') emit({ type: 'said' })
    return snapshot
  },
  getPersistedSnapshot: (snapshot) => snapshot,
}

/** It gives its one value to each new subscriber. */
const ticks: Subscribable<number> = {
  subscribe: (observer: unknown) => {
    if (
      typeof observer === 'object' &&
      observer !== null &&
      'next' in observer &&
      typeof observer.next === 'function'
    )
      observer.next(1)
    return { unsubscribe: () => {} }
  },
}

type Given = {
  readonly context: { readonly talker: AnyActorRef }
  readonly event: EventObject
  readonly self: AnyActorRef
}

/** Short, for a line. */
const textOf = (value: unknown): string =>
  (typeof value === 'string' ? value : JSON.stringify(value)).replaceAll(longWords, '')

const longWords =
  /["{}]|keelson\$\$type":"actor",|(?:status|historyValue|children)":|xstate\.|\.trial\.work\.busy|snapshot\./g

const owedText = ({ kind, name, event }: SavedAction): string => {
  const parts = 'snapshot' in event ? Object.keys(event.snapshot ?? []) : []
  return [kind, name ?? event.type, parts.length, ...parts.slice(3)].join(':')
}

/** One life of a small machine of one copy. */
class Trial {
  readonly #lines: string[] = []
  readonly #armed = new Set<Delayed>()
  readonly #copy: Copy
  readonly #plan: MachinePlan

  constructor(copy: Copy) {
    this.#copy = copy
    this.#plan = {
      machine: this.#machine(),
      rules: { knows: () => true, postpones: () => false },
      names: new ActionNames(),
      postponedMax: 1,
      hears: true,
    }
  }

  /** The lines of a whole life. */
  live(): readonly string[] {
    const { machine } = this.#plan
    this.#note('known', isMachineLogic(machine))
    const steps = new MachineSteps(this.#plan, this.#host())
    this.#after(steps, () => steps.begin(undefined))
    this.#after(steps, () => steps.take({ event: { type: 'turn' }, from: undefined }))
    const saved = JSON.parse(JSON.stringify(steps.saved()))
    this.#after(steps, () => steps.take({ event: { type: 'finish' }, from: undefined }))
    const again = new MachineSteps(this.#plan, this.#host())
    this.#after(again, () => again.restore(saved))
    const [timer] = this.#armed
    if (timer !== undefined) this.#after(again, () => again.due(timer))
    again.end((error) => this.#note('not ended', error))
    return this.#lines
  }

  #made(config: object, implementations: object): AnyStateMachine {
    return Reflect.construct(this.#copy, [config, implementations])
  }

  #machine(): AnyStateMachine {
    const none = { actions: {}, actors: {}, guards: {}, delays: {} }
    const worker = this.#made(
      {
        id: 'worker',
        initial: 'at',
        states: { at: { on: { end: 'over' } }, over: { type: 'final' } },
      },
      none,
    )
    const config = {
      id: 'trial',
      type: 'parallel',
      context: ({ spawn }: { spawn: (src: string, options?: object) => AnyActorRef }) => {
        const talker = spawn('talker', { syncSnapshot: true })
        // A throw here comes to the caller; XState throws that of a later event outside of any.
        talker.send({ type: 'early' })
        return {
          talker,
          ticker: spawn('ticker', { id: 'ticker', systemId: 'tick', syncSnapshot: true }),
        }
      },
      states: {
        work: {
          initial: 'busy',
          states: {
            busy: {
              entry: 'listen',
              invoke: { src: 'worker', id: 'worker', onDone: 'idle' },
              after: { 10: 'late' },
            },
            idle: {},
            late: {},
          },
        },
        turn: { initial: 'one', states: { one: { on: { turn: 'two' } }, two: {} } },
      },
      on: { finish: { actions: 'finish' }, 'xstate.snapshot.ticker': { actions: 'note' } },
    }
    const actors = { worker, talker, ticker: fromObservable(() => ticks) }
    const actions = {
      listen: ({ context }: Given) =>
        context.talker.on('said', ({ type }) => this.#note('heard', type)),
      note: ({ event }: Given) => this.#note('noted', ...Object.keys(event)),
      finish: ({ context, self }: Given) => {
        context.talker.send({ type: 'talk' })
        self.getSnapshot().children.worker?.send({ type: 'end' })
      },
    }
    return this.#made(config, { ...none, actors, actions })
  }

  /** The lines of a turn: its effects, each done, and what it saves. */
  #after(steps: MachineSteps, turn: () => unknown): void {
    turn()
    this.#save(steps)
    for (let isDone = false; !isDone; ) {
      const effect = steps.works.next()
      if (effect !== undefined) {
        this.#note('effect', effect.step, effect.isRecorded)
        effect.run()
      } else if (steps.works.isGoing()) {
        steps.goOn()
        this.#save(steps)
      } else isDone = true
    }
    this.#note('is', steps.snapshot.value)
  }

  #save(steps: MachineSteps): void {
    const { value, context, entered, children, actions, timers } = steps.saved()
    const names = ['syncSnapshot', 'systemId', 'step'] as const
    const actors = Object.entries(children).map(([id, child]) =>
      [id, child.src, ...names.flatMap((name) => child[name] ?? []), child.snapshot].map(textOf),
    )
    this.#note('saved', value, entered ?? 'in order', context)
    this.#note('actors', ...actors.map((each) => `${each.join(' ')},`))
    this.#note('owes', ...actions.map(owedText))
    this.#note('timers', ...timers.map(({ id, dueAt }) => `${id} ${dueAt}`))
  }

  /** A line; one that repeats the last of its kind is left out. */
  #note(what: string, ...values: readonly unknown[]): void {
    const line = [what, ...values.map(textOf)].join(' ')
    const last = this.#lines.findLast((other) => other.startsWith(`${what} `))
    if (what === 'stepped' || last !== line) this.#lines.push(line)
  }

  #host(): StepsHost {
    const silent = (): undefined => undefined
    return {
      context: Object.create(null),
      names: {},
      now: () => 0,
      run: () => 'trial',
      inTurn: (run) => run(),
      works: () => silent,
      recordsSteps: false,
      saves: true,
      arm: (delayed, ms) => {
        this.#armed.add(delayed)
        this.#note('arm', delayed.event.type, ms)
      },
      disarm: (delayed) => {
        this.#armed.delete(delayed)
        this.#note('disarm', delayed.event.type)
      },
      arrived: ({ event }) => this.#note('passed by', event.type),
      failed: (error) => this.#note('failed', describeReason(error)),
      emitted: silent,
      logged: silent,
      send: silent,
      placeOf: silent,
      sendAgain: silent,
      stepped: (_, { type }) => this.#note('stepped', type),
      unknown: silent,
      full: silent,
      lost: ({ name }) => this.#note('lost', name),
    }
  }
}
