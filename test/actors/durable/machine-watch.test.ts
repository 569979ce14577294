/** `waitFor` and `subscribe` of durable machines: they show durable states only. */

import { describe, expect, test } from 'vitest'
import { assign, setup } from 'xstate'
import { entity, supervisor, worker } from '../../../src/index.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { outcome } from '../../../src/testing/index.ts'
import { simulated } from '../../support/worlds/simulated-instance.ts'

type Event =
  | { readonly type: 'place' }
  | { readonly type: 'pay' }
  | { readonly type: 'status' }
  | { readonly type: 'note'; readonly text: string }

const machine = setup({
  types: {} as { context: { notes: readonly string[] }; events: Event },
}).createMachine({
  id: 'order',
  context: { notes: [] },
  initial: 'new',
  on: {
    note: { actions: assign({ notes: ({ context, event }) => [...context.notes, event.text] }) },
  },
  states: {
    new: { on: { place: 'placed' } },
    placed: { on: { pay: 'paid' }, after: { 60000: 'late' } },
    late: {},
    paid: { type: 'final' },
  },
})

const server = StateMachine.durable(machine, { answers: { status: ({ value }) => String(value) } })
const orders = entity('order', server, { idleMs: 1_000 })
const light = worker('light', server, { durable: true })

const holdMs = 1_000

const started = async () => {
  const s = await simulated({ app: supervisor('app', {}, [orders, light]) })
  const order = s.app.entity(orders).ref('42')
  const follow = () => {
    const seen: string[] = []
    const cancel = StateMachine.subscribe(
      order,
      ({ value, context }) => seen.push(`${String(value)} ${context.notes.length}`),
      (reason) => seen.push(`ended ${String(reason)}`),
    )
    return { seen, cancel }
  }
  const live = () => s.system.processes().filter(({ label }) => label === 'order/42').length
  return { s, order, follow, live }
}

describe('a durable machine', () => {
  test('is seen in a state when that is durable, and not before', async () => {
    const { s, order, follow } = await started()
    const { seen } = follow()
    await s.advance(10)
    s.syncMs = holdMs
    let placed: unknown
    void StateMachine.waitFor(order, (found) => found.matches('placed')).then((snapshot) => {
      placed = snapshot.value
    })
    StateMachine.send(order, { type: 'place' })
    await s.advance(holdMs - 1)
    // One that waits from now on is given the state in memory no sooner.
    let later: unknown
    void StateMachine.waitFor(order, (found) => found.matches('placed')).then((snapshot) => {
      later = snapshot.value
    })
    await s.settle()
    expect([seen, placed, later]).toEqual([['new 0'], undefined, undefined])
    await s.advance(2)
    expect([seen, placed, later]).toEqual([['new 0', 'placed 0'], 'placed', 'placed'])
  })

  test('that was never used is shown as it would begin, and gets no row', async () => {
    const { s, order } = await started()
    const snapshot = await s.during(StateMachine.waitFor(order, (found) => found.matches('new')))
    expect(snapshot.value).toBe('new')
    expect(s.app.entity(orders).state('42')).toBeUndefined()
  })

  test('is not seen in a state that was refused', async () => {
    const { s, order, follow } = await started()
    await s.during(StateMachine.call(order, { type: 'status' }))
    const { seen } = follow()
    StateMachine.send(order, { type: 'note', text: 'x'.repeat(2 * 1024 * 1024) })
    StateMachine.send(order, { type: 'note', text: 'short' })
    await s.advance(10)
    expect(seen).toEqual(['new 0', 'new 1'])
  })

  test('does not rest while it is watched, and rests after', async () => {
    const { s, order, follow, live } = await started()
    StateMachine.send(order, { type: 'place' })
    await s.advance(2_500)
    expect(live()).toBe(0)
    const { seen, cancel } = follow()
    await s.advance(10_000)
    expect([live(), seen]).toEqual([1, ['placed 0']])
    cancel()
    await s.advance(2_500)
    expect(live()).toBe(0)
  })

  test('that its alarm moves is seen, and its done machine ends what waits', async () => {
    const { s, order, follow } = await started()
    StateMachine.send(order, { type: 'place' })
    const { seen } = follow()
    const late = StateMachine.waitFor(order, (found) => found.matches('late'))
    await s.advance(61_000)
    expect((await late).value).toBe('late')
    expect(seen).toEqual(['placed 0', 'late 0'])

    const paid = s.app.entity(orders).ref('43')
    const never = outcome(StateMachine.waitFor(paid, ({ context }) => context.notes.length > 0))
    StateMachine.send(paid, { type: 'place' })
    StateMachine.send(paid, { type: 'pay' })
    expect(await s.during(never)).toMatchObject({ error: { code: 'EXITED' } })
    const done = await s.during(StateMachine.waitFor(paid, ({ status }) => status === 'done'))
    expect(done.value).toBe('paid')
  })

  test('whose process ends tells it, and is watched again by its next one', async () => {
    const { s, order, follow } = await started()
    const { seen } = follow()
    const waiting = outcome(StateMachine.waitFor(order, () => false))
    StateMachine.send(order, { type: 'place' })
    await s.advance(10)
    s.system.kill(order)
    await s.advance(10)
    expect(seen).toEqual(['new 0', 'placed 0', 'ended killed'])
    expect(await waiting).toMatchObject({ error: { code: 'EXITED' } })
    const again = await s.during(StateMachine.waitFor(order, (found) => found.matches('placed')))
    expect(again.value).toBe('placed')
  })

  test('as a worker, by its part; and a close ends the subscription', async () => {
    const { s } = await started()
    const seen: unknown[] = []
    const ref = s.system.to(light)
    StateMachine.subscribe(
      ref,
      ({ value }) => seen.push(value),
      (reason) => seen.push(reason),
    )
    StateMachine.send(ref, { type: 'place' })
    await s.during(StateMachine.waitFor(ref, (found) => found.matches('placed')))
    await s.during(s.app.close())
    expect(seen).toEqual(['new', 'placed', 'shutdown'])
  })
})
