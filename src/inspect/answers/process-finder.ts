/**
 * Finds a process by its pid, its name, its ref, or a handle. An entity at rest has none: it is
 * found by its kind and id, and is not woken.
 */
import { Control, ControlHandle } from '../../actors/index.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import {
  type Name,
  name,
  type ProcessSummary,
  type Ref,
  type System,
  summaryOf,
} from '../../runtime/index.ts'
import type { App } from '../../supervisors/index.ts'
import { printable } from '../text/paint.ts'
import { processAt, processPages } from './process-pages.ts'

/** The part of an instance that finds its processes. */
export type Findable = Pick<App, 'system' | 'instance' | 'entities'>

/** An entity by its kind and id. */
export type NamedEntity = { readonly kind: string; readonly id: string }

/** A value, or a promise of it if it takes a look at all processes. */
export type Soon<T> = T | Promise<T>

/** Goes on with a value: at once, unless it is a promise. */
export const whenFound = <T, R>(value: Soon<T>, act: (value: T) => R | Promise<R>): Soon<R> =>
  value instanceof Promise ? value.then(act) : act(value)

/**
 * The process of `target`, as `processOf` finds it.
 * @throws KeelsonError `NO_PROCESS` when there is none, `INVALID_ARGUMENT` for any other value
 */
export const findProcess = (app: Findable, target: unknown): Soon<ProcessSummary> =>
  whenFound(processOf(app, target), (found) => found ?? refuse(app, target))

const refuse = (app: Findable, target: unknown): never => {
  const resting = restingEntity(app, target)
  const owner = resting && ownerOf(app, resting)
  const place = owner === undefined ? 'at rest' : `at member ${owner}`
  const why = resting
    ? `${resting.kind}/${resting.id} is ${place}; entity('${resting.kind}/${resting.id}') shows it`
    : `there is no process ${String(target)}; ps() lists all`
  throw new KeelsonError('NO_PROCESS', why, { details: { target: String(target) } })
}

/** The title of a process in output: `wal_writer(0) <5>`, or `<12>` without a name. */
export const processTitle = (process: ProcessSummary): string => {
  const called = shownName(process)
  return `${called === undefined ? '' : `${printable(called)} `}<${process.pid}>`
}

/** The name of a process in the views: its name, or its label. */
export const shownName = ({ name: called, label }: ProcessSummary): string | undefined =>
  called ?? label

/** The same; a process without one has its pid. */
export const calledOf = (process: ProcessSummary): string =>
  shownName(process) ?? `<${process.pid}>`

/** The entity `order/42`, or that of a ref, if its kind runs. */
export const namedEntity = ({ entities }: Findable, target: unknown): NamedEntity | undefined => {
  const named = typeof target === 'string' ? target : (target as Ref | undefined)?.name
  const [, kind, id] = /^([a-z][\w-]*)\/(.+)$/s.exec(named ?? '') ?? []
  if (kind === undefined || id === undefined || entities.kind(kind) === undefined) return undefined
  // In an instance with another name, names of processes end with it.
  const suffix = entities.nameOf('')
  return { kind, id: id.endsWith(suffix) ? id.slice(0, id.length - suffix.length) : id }
}

/** The member that has an entity, if it is another one. */
export const ownerOf = ({ entities }: Findable, { kind, id }: NamedEntity): string | undefined => {
  const entity = `${kind}/${id}`
  if (!entities.isElsewhere(entity)) return undefined
  const { way, index } = entities.shardOf(entity)
  return way?.ownerOf(index)
}

/** The entity, if it has no process here now. */
export const restingEntity = (app: Findable, target: unknown): NamedEntity | undefined => {
  const named = namedEntity(app, target)
  if (!named || ownerOf(app, named) !== undefined) return named
  return summaryOf(app.entities.ref(named.kind, named.id)) ? undefined : named
}

/**
 * The process of `target`: `12` or `'<12>'`, `'wal_writer(0)'` or another name or label, a ref, the
 * control handle, or a result of `info`. `undefined`: there is none.
 * @throws KeelsonError `NO_PROCESS` for a label of several, `INVALID_ARGUMENT` for any other value
 */
export const processOf = (app: Findable, target: unknown): Soon<ProcessSummary | undefined> => {
  const { system, instance, entities } = app
  if (target instanceof ControlHandle) return summaryOf(system.to(Control.name(instance)))
  const pid = pidIn(target)
  if (pid !== undefined) return processAt(system, pid)
  if (typeof target === 'string' && target !== '') {
    const entity = namedEntity(app, target)
    // The process here of an entity elsewhere sends its messages there.
    if (entity && ownerOf(app, entity) !== undefined) return undefined
    if (entity) return summaryOf(entities.ref(entity.kind, entity.id))
    const named = summaryOf(system.to(name(target)))
    const kind = named ? undefined : entities.kind(target)
    return named ?? (kind ? summaryOf(kind.ref) : labelled(system, target))
  }
  if (isRef(target)) return summaryOf('ref' in target ? (target.ref as Ref) : target)
  throw invalidArgument('process', 'a name such as wal_writer(0), a pid or a ref', target)
}

/**
 * The process without a name that is shown as `label`, such as a child of a dynamic supervisor.
 * @throws KeelsonError `NO_PROCESS` when several are shown so
 */
const labelled = async (system: System, label: string): Promise<ProcessSummary | undefined> => {
  const found: ProcessSummary[] = []
  for await (const page of processPages(system))
    for (const process of page)
      if (process.name === undefined && process.label === label) found.push(process)
  if (found.length <= 1) return found[0]
  const pids = found.map(({ pid }) => `<${pid}>`)
  throw new KeelsonError(
    'NO_PROCESS',
    `${found.length} processes are ${label}: name one by its pid, such as ${pids[0]}`,
    {
      details: { target: label, pids },
    },
  )
}

const pidIn = (target: unknown): number | undefined => {
  if (typeof target === 'number') return target
  const digits = typeof target === 'string' ? /^<(\d+)>$/.exec(target)?.[1] : undefined
  return digits === undefined ? undefined : Number(digits)
}

/** Refs, and objects with one: an entry of `processes()`. */
const isRef = (target: unknown): target is Ref =>
  typeof target === 'object' && target !== null && 'pid' in target

/** The name of a part with arguments: `wal_writer(0)`, `wal_writer('orders', 0)`. */
export const nameWith = (part: string, parts: readonly unknown[]): Name =>
  name(
    `${part}(${parts.map((each) => (typeof each === 'string' ? `'${each}'` : String(each))).join(', ')})`,
  )
