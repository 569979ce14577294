/** Compiled, never run: how the types of events and side effects flow through the journal. */
import type { App, Journal, Subscription } from '../../src/index.ts'
import {
  type EventPayload,
  eventPayload,
  readEventPayload,
} from '../../src/storage/values/event-payload.ts'

type Events = {
  readonly fill: { readonly cents: number }
  readonly closed: null
}
type Effects = { readonly withdraw: { readonly account: string; readonly cents: number } }

declare const app: App

export const uses = async (): Promise<void> => {
  const journal: Journal<Events, Effects> = app.journal.typed<Events, Effects>()
  const fill: EventPayload<{ readonly cents: number }> = eventPayload({ cents: 5 })
  await journal.append({
    id: 'a',
    type: 'order',
    events: [
      { type: 'fill', payload: { cents: 5 } },
      { type: 'fill', payload: fill },
      { type: 'closed', payload: null },
    ],
    effects: [{ type: 'withdraw', payload: { account: 'ann', cents: 5 } }],
  })
  // @ts-expect-error -- no event has this type
  await journal.append({ id: 'a', type: 'order', events: [{ type: 'filled', payload: null }] })
  // @ts-expect-error -- the value of this event is another
  await journal.append({ id: 'a', type: 'order', events: [{ type: 'fill', payload: 'five' }] })
  // @ts-expect-error -- an event is no side effect
  await journal.append({ id: 'a', type: 'order', effects: [{ type: 'closed', payload: null }] })

  for await (const { events, effects } of journal.on(1).entries()) {
    for (const { type, payload } of events)
      if (type === 'fill') readEventPayload(payload).value.cents satisfies number
    for (const { payload } of effects) readEventPayload(payload).value.account satisfies string
  }

  const subscription: Subscription = journal.subscribe({
    name: 'audit',
    // @ts-expect-error -- side effects are not emitted
    handler: ({ effects }) => void effects,
  })
  await subscription.end({ forget: true })

  const state = await app.journal.loadState<Map<string, number>>()
  state?.value.get('ann') satisfies number | undefined
  // @ts-expect-error -- of an untyped state nothing is known
  ;(await app.journal.loadState())?.value.get('ann')
}
