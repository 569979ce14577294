/** The work that is left of a machine's steps, as plain data and back. */
import type { EventObject } from 'xstate'
import type { Actor } from './machine-door.ts'
import { type Effects, storable } from './machine-effects.ts'
import { actorAt, pathOf } from './machine-timers.ts'
import type { SavedAction } from './machine-words.ts'
import { type Item, Work } from './machine-work.ts'

interface Machine {
  readonly root: Actor
  readonly effects: Effects
}

interface Saving extends Machine {
  /** `value` as plain data; `path` leads to it. */
  plain<T>(value: T, path: readonly string[]): T
}

type Saved = Omit<SavedAction, 'turn'>

/** Beside the recorded items, the places of starts, and of actors that are not done before. */
export const savedWorks = (works: readonly Work[], saving: Saving): SavedAction[] => {
  const found: SavedAction[] = []
  for (const work of works) {
    const { turn, items } = work
    const last = items.findLastIndex(isRecorded)
    for (const [at, item] of items.entries()) {
      if (last < 0 || (item.kind === 'end' && at > last)) continue
      const saved = savedItem(item, ['actions', String(found.length)], saving)
      const queued = work.queues(item) ? { isQueued: true } : {}
      if (saved !== undefined) found.push({ ...saved, turn, ...queued })
    }
  }
  return found
}

const isRecorded = (item: Item): boolean =>
  item.kind === 'event' || (item.kind === 'effect' && item.effect.isRecorded)

const savedItem = (item: Item, path: readonly string[], saving: Saving): Saved | undefined => {
  const { root, effects, plain } = saving
  if (item.kind === 'effect' && item.effect.isRecorded)
    return effects.saved(item.effect, path, (value, at) => plain(value, at))
  const place = (kind: SavedAction['kind'], actor: Actor, given = nothing, step = '') => {
    const ids = pathOf(actor, root)
    // One that was stopped has nothing to handle.
    if (ids === undefined || actorAt(ids, root) !== actor) return undefined
    const event = plain(storable(given), [...path, 'event'])
    return { kind, step, actor: ids, sources: [], event }
  }
  if (item.kind === 'event') return place('event', item.arrival.target, item.arrival.event)
  if (item.kind === 'end') return place('end', item.actor)
  if (item.kind !== 'effect' || item.effect.deed.kind !== 'start') return undefined
  return place('start', item.effect.deed.actor, nothing, item.effect.step)
}

/** The event of a place in the order, which has none. */
const nothing: EventObject = { type: 'xstate.init' }

/**
 * The saved work. `made` holds the starts of the restored actors; the saved ones move from there to
 * their places.
 */
export const restoredWorks = (
  saved: readonly SavedAction[],
  made: Item[],
  machine: Machine,
): Work[] => {
  const starts = new Map<Actor, Item>()
  for (const item of made)
    if (item.kind === 'effect' && item.effect.deed.kind === 'start')
      starts.set(item.effect.deed.actor, item)
  const works = new Map<number, Item[]>()
  const queued: Item[] = []
  for (const action of saved) {
    const items = works.get(action.turn) ?? []
    works.set(action.turn, items)
    const item = restoredItem(action, starts, machine)
    if (item !== undefined) items.push(item)
    if (item !== undefined && action.isQueued) queued.push(item)
  }
  made.splice(0, made.length, ...starts.values())
  const left = [...works].map(([turn, items]) => new Work(turn, items, queued))
  return left.filter(({ isDone }) => !isDone)
}

const restoredItem = (
  action: SavedAction,
  starts: Map<Actor, Item>,
  { root, effects }: Machine,
): Item | undefined => {
  const { kind, event } = action
  if (kind === 'action' || kind === 'emit' || kind === 'send') {
    const effect = effects.restore(action, kind)
    return effect && { kind: 'effect', effect }
  }
  const actor = actorAt(action.actor, root)
  if (actor === undefined) return undefined
  if (kind === 'end') return { kind, actor }
  if (kind === 'event') return { kind, arrival: { source: undefined, target: actor, event } }
  const start = starts.get(actor)
  starts.delete(actor)
  return start
}
