/**
 * The work that is left of a machine's steps, as plain data and back: the saved form alone. It is
 * apart from `machine-steps.ts`, which does the steps and knows nothing of how work is stored.
 */
import type { AnyMachineSnapshot, EventObject } from 'xstate'
import { type Actor, type Arrival, stateOf } from './machine-door.ts'
import type { Effects } from './machine-effects.ts'
import { liveEvent, storable } from './machine-saved.ts'
import { actorAt, placeOf } from './machine-timers.ts'
import type { SavedAction } from './machine-words.ts'
import { type Item, Work } from './machine-work.ts'

interface Machine {
  readonly root: Actor
  readonly effects: Effects
}

interface Saving extends Machine {
  /** Whether the effects of a turn without events send their events in its order, too. */
  readonly keepsOrder: boolean
  /** `value` as plain data; `path` leads to it. */
  plain<T>(value: T, path: readonly string[]): T
}

type Saved = Omit<SavedAction, 'turn'>

/**
 * Beside the recorded items, the places of starts, and those where actors take their next events. An
 * actor that is being stopped is in no saved state; it has no events to take.
 */
export const savedWorks = (works: readonly Work[], saving: Saving): SavedAction[] => {
  const found: SavedAction[] = []
  for (const work of works) {
    const { turn, items } = work
    if (!items.some(isRecorded)) continue
    const hasEnds = saving.keepsOrder || work.hasEvents
    for (const item of items) {
      if (item.kind === 'end' && !hasEnds) continue
      const saved = savedItem(item, ['actions', String(found.length)], saving)
      const queued = work.queues(item) ? { isQueued: true } : {}
      const alone = item.kind === 'event' && item.isAlone ? { isAlone: true } : {}
      if (saved !== undefined) found.push({ ...saved, turn, ...queued, ...alone })
    }
  }
  return found
}

const isRecorded = (item: Item): boolean =>
  item.kind === 'event' ||
  item.kind === 'timer' ||
  (item.kind === 'effect' && item.effect.isRecorded)

const savedItem = (item: Item, path: readonly string[], saving: Saving): Saved | undefined => {
  const { root, effects, plain } = saving
  if (item.kind === 'effect' && item.effect.isRecorded)
    return effects.saved(item.effect, path, (value, at) => plain(value, at))
  const found = placed(item, root)
  if (found === undefined) return undefined
  const { of, to, event = nothing, ...rest } = found
  const [actor, target] = [placeOf(of, root), to && placeOf(to, root)]
  if (actor === undefined || (to && !target)) return undefined
  return {
    step: '',
    actor,
    sources: [],
    ...rest,
    ...(target && { target }),
    event: plain(storable(event), [...path, 'event']),
  }
}

interface Placed extends Partial<Pick<SavedAction, 'name' | 'dueAt' | 'step' | 'event'>> {
  readonly kind: SavedAction['kind']
  readonly of: Actor
  readonly to?: Actor | undefined
}

/** An item that is no recorded effect, and its actors. */
const placed = (item: Item, root: Actor): Placed | undefined => {
  if (item.kind === 'end') return { kind: 'end', of: item.actor }
  if (item.kind === 'timer') {
    const { source: of, id, target: to, ...sets } = item.order
    return { kind: 'timer', of, to, ...(id === undefined ? {} : { name: id }), ...sets }
  }
  if (item.kind === 'event') {
    const { source, target: to, event } = item.arrival
    return { kind: 'event', of: source && placeOf(source, root) ? source : root, to, event }
  }
  if (item.kind !== 'effect' || item.effect.deed.kind !== 'start') return undefined
  return { kind: 'start', of: item.effect.deed.actor, step: item.effect.step }
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

const arrivalOf = (source: Actor, target: Actor, event: EventObject): Arrival => {
  const { machine }: Partial<AnyMachineSnapshot> = stateOf(target)
  return { source, target, event: machine ? liveEvent(event, machine, target) : event }
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
  const source = actorAt(action.actor, root)
  const target = action.target && actorAt(action.target, root)
  if (source === undefined || (action.target && !target)) return undefined
  if (kind === 'end') return { kind, actor: source }
  if (kind === 'event') {
    const alone = action.isAlone && { isAlone: true as const }
    return target && { kind, arrival: arrivalOf(source, target, event), ...alone }
  }
  if (kind === 'timer') {
    const { name: id, dueAt = 0 } = action
    const sets = target && id !== undefined
    return { kind, order: sets ? { source, id, target, event, dueAt } : { source, id } }
  }
  const start = starts.get(source)
  starts.delete(source)
  return start
}
