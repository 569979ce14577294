/** Entries of a journal for tests, and what its health says. */
import type { App } from '../../../src/supervisors/index.ts'
import type { Machine } from './simulated-instance.ts'

/** An entry with an event and an effect. */
export const entry = (id: string) => ({
  id,
  type: 'order',
  events: [{ type: 'accepted', payload: { id } }],
  effects: [{ type: 'hold', payload: 7 }],
})

/** Appends entries with these ids, all at once. */
export const append = (
  app: App,
  { during }: Machine,
  ...ids: readonly string[]
): Promise<unknown> => during(Promise.all(ids.map((id) => app.journal.append(entry(id)))))

/** The journal of the first shard. */
export const healthOf = (app: App) => app.health().shards[0]?.journal
