/** A machine turn by turn, without a process: a host that commits before it does anything. */
import { describe, expect, test } from 'vitest'
import { assign, emit, fromPromise, raise, setup } from 'xstate'
import type { StepsHost } from '../../../src/runtime/machine/machine-host.ts'
import { planOf } from '../../../src/runtime/machine/machine-plan.ts'
import { MachineSteps } from '../../../src/runtime/machine/machine-steps.ts'
import type { Delayed } from '../../../src/runtime/machine/machine-timers.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { throughJson } from '../state-machine/machine-process.ts'

const told: unknown[] = []
let bank: Error | undefined

const job = setup({
  types: {} as {
    context: { cents: number; found: string | undefined }
    events: { type: 'pay'; cents: number } | { type: 'note' } | { type: 'load' } | { type: 'tick' }
  },
  actors: { load: fromPromise(() => new Promise<string>(() => {})) },
  actions: {
    charge: ({ context, self }) => {
      if (bank !== undefined) throw bank
      told.push([StateMachine.stepOf(self), context.cents])
    },
  },
}).createMachine({
  id: 'job',
  context: { cents: 0, found: undefined },
  initial: 'new',
  on: {
    note: {},
    tick: { actions: () => void told.push('tick') },
    load: '.loading',
  },
  states: {
    new: {
      entry: [
        raise({ type: 'tick' }, { delay: 500, id: 'tick' }),
        raise({ type: 'tick' }, { delay: 700 }),
      ],
      on: {
        pay: {
          target: 'paid',
          actions: [
            assign({ cents: ({ event }) => event.cents }),
            'charge',
            emit({ type: 'paid' } as never),
          ],
        },
      },
    },
    paid: { after: { 1000: 'new' } },
    loading: { invoke: { src: 'load', id: 'load' } },
  },
})

const plan = planOf(job, { postpone: { paid: ['note'] }, emitted: () => {} })

/** Steps whose host arms no timer and does nothing by itself. */
const stepsAt = (now: number) => {
  const armed: [Delayed, number][] = []
  const host: StepsHost = {
    context: {} as never,
    names: {},
    now: () => now,
    run: () => 'job/7/1',
    inTurn: (run: () => void) => run(),
    works: () => () => {},
    recordsSteps: true,
    saves: true,
    arm: (delayed, ms) => void armed.push([delayed, ms]),
    disarm: () => {},
    arrived: (arrival) => void told.push(['arrived', arrival.event.type]),
    failed: (error) => void told.push(['failed', error]),
    emitted: (event) => void told.push(event),
    logged: () => {},
    send: () => {},
    placeOf: () => undefined,
    sendAgain: () => {},
    stepped: () => {},
    unknown: () => {},
    full: () => {},
    lost: (action) => void told.push(['lost', action.name]),
  }
  told.length = 0
  bank = undefined
  return { steps: new MachineSteps(plan, host), armed }
}

const pay = { event: { type: 'pay', cents: 5 }, from: undefined } as const

describe('a turn', () => {
  test('does nothing outside; its effects stand in the saved state until each was done', () => {
    const { steps } = stepsAt(0)
    steps.begin(undefined)
    const turn = steps.take(pay)

    expect([turn.changed, turn.snapshot.value, told]).toEqual([true, 'paid', []])
    expect(steps.saved().actions.map(({ step, kind, name }) => [step, kind, name])).toEqual([
      ['job/7/1/2/0', 'action', 'charge'],
      ['job/7/1/2/1', 'emit', undefined],
    ])
    turn.effects[0]?.run()
    expect(told).toEqual([['job/7/1/2/0', 5]])
    expect(steps.saved().actions.map(({ kind }) => kind)).toEqual(['emit'])
    turn.effects[0]?.run()
    turn.effects[1]?.run()

    expect(told).toEqual([['job/7/1/2/0', 5], { type: 'paid' }])
    expect(steps.saved().actions).toEqual([])
  })

  test('whose action throws keeps it: it can be tried again, under its name', () => {
    const { steps } = stepsAt(0)
    steps.begin(undefined)
    const [charge] = steps.take(pay).effects
    bank = new Error('away')

    expect(() => charge?.run()).toThrow(bank)
    expect(steps.saved().actions.length).toBe(2)
    bank = undefined
    charge?.run()

    expect(told).toEqual([['job/7/1/2/0', 5]])
  })

  test('that changed nothing says so, and leaves its number to the next', () => {
    const { steps } = stepsAt(0)
    steps.begin(undefined)
    const before = steps.saved()

    expect(steps.take({ event: { type: 'note' }, from: undefined }).changed).toBe(false)
    expect(steps.saved()).toEqual(before)
  })

  test('that could not be committed is taken back by restoring the state before it', () => {
    const { steps } = stepsAt(0)
    steps.begin(undefined)
    const before = throughJson(steps.saved())
    steps.take(pay)
    steps.end(() => {})
    const { steps: again } = stepsAt(0)
    again.restore(before)

    expect(again.saved()).toEqual(before)
    expect(again.take(pay).effects[0]?.step).toBe('job/7/1/2/0')
  })
})

describe('the saved state', () => {
  test('comes back as it was: actors inside, timers, postponed events and what is owed', () => {
    const { steps } = stepsAt(1_000)
    steps.begin(undefined)
    steps.take(pay)
    steps.take({ event: { type: 'note' }, from: undefined })
    steps.take({ event: { type: 'load' }, from: undefined })
    const saved = throughJson(steps.saved())
    expect(saved.timers.map(({ dueAt }) => dueAt)).toEqual([1_500, 1_700])
    expect([saved.postponed.length, saved.actions.length]).toEqual([1, 2])
    expect(saved.children.load?.step).toBe('job/7/1/4/0')

    const { steps: again } = stepsAt(9_000)
    const turn = again.restore(saved)

    expect([again.saved(), told]).toEqual([saved, []])
    expect(turn.effects.map(({ step }) => step)).toEqual(['job/7/1/4/0'])
    const done: unknown[] = []
    for (let effect = again.works.next(); effect; effect = again.works.next()) {
      done.push([effect.step, effect.isRecorded])
      effect.run()
    }
    expect(done).toEqual([
      ['job/7/1/4/0', false],
      ['job/7/1/2/0', true],
      ['job/7/1/2/1', true],
    ])
  })

  test('has absolute times, also of a timer that is overdue; the host says when it comes', () => {
    const { steps } = stepsAt(1_000)
    steps.begin(undefined)
    const saved = throughJson(steps.saved())
    const { steps: again, armed } = stepsAt(9_000)
    again.restore(saved)
    expect(armed.map(([{ dueAt }, ms]) => [dueAt, ms])).toEqual([
      [1_500, 0],
      [1_700, 0],
    ])
    expect(again.saved().timers).toEqual(saved.timers)
    const [delayed] = armed[0] as [Delayed, number]

    for (const effect of again.due(delayed).effects) effect.run()
    expect([told, again.saved().timers]).toEqual([['tick'], saved.timers.slice(1)])
    expect(again.due(delayed).changed).toBe(false)
  })
})
