/** Finds a process by its pid, its name, its ref, or a handle. */
import { Control, ControlHandle } from '../../actors/index.ts'
import { invalidArgument, KeelsonError } from '../../errors.ts'
import { type Name, name, type ProcessSummary, type Ref, type System } from '../../runtime/index.ts'
import { processAt } from './process-pages.ts'

/** The part of an instance that finds its processes. */
export type Findable = { readonly system: System; readonly instance: string }

/**
 * The process of `target`: `12` or `'<12>'`, `'wal_writer(0)'` or another name or label, a ref, the
 * control handle, or a result of `info`.
 * @throws KeelsonError `NO_PROCESS` when there is none, `INVALID_ARGUMENT` for any other value
 */
export const findProcess = (app: Findable, target: unknown): ProcessSummary => {
  const found = lookUp(app, target)
  if (found) return found
  throw new KeelsonError('NO_PROCESS', `there is no process ${String(target)}; ps() lists all`, {
    details: { target: String(target) },
  })
}

/** The title of a process in output: `wal_writer(0) <5>`, or `<12>` without a name. */
export const processTitle = (process: ProcessSummary): string =>
  [shownName(process), `<${process.pid}>`].filter((part) => part !== undefined).join(' ')

/** The name of a process in the views: its name, or its label. */
export const shownName = ({ name: called, label }: ProcessSummary): string | undefined =>
  called ?? label

const lookUp = ({ system, instance }: Findable, target: unknown): ProcessSummary | undefined => {
  if (target instanceof ControlHandle) return system.info(Control.name(instance))
  const pid = pidIn(target)
  if (pid !== undefined) return processAt(system, pid)
  if (typeof target === 'string') return system.info(name(target)) ?? labelled(system, target)
  if (isRef(target)) return system.info('ref' in target ? (target.ref as Ref) : target)
  throw invalidArgument('process', 'a name such as wal_writer(0), a pid or a ref', target)
}

/**
 * The process without a name that is shown as `label`, such as a kind of entities.
 * @throws KeelsonError `NO_PROCESS` when several are shown so
 */
const labelled = (system: System, label: string): ProcessSummary | undefined => {
  const found = system.inspectProcesses({ label })
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
