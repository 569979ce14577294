/** Who is meant: a process by its pid, its name, its ref, or a handle that stands for one. */
import { Control, ControlHandle } from '../../actors/index.ts'
import { KeelsonError } from '../../errors.ts'
import { type Name, name, type ProcessInfo, type Ref, type System } from '../../runtime/index.ts'

/** What of an instance it takes to find its processes. */
export type Findable = { readonly system: System; readonly instance: string }

/**
 * The process that `target` means: `12` or `'<12>'`, `'wal_writer(0)'`, a ref, the control handle, or what `info` gave.
 * @throws KeelsonError `NO_PROCESS` when nobody is there, `INVALID_ARGUMENT` for what is none of these
 */
export const findProcess = (app: Findable, target: unknown): ProcessInfo => {
  const found = lookUp(app, target)
  if (found) return found
  throw new KeelsonError('NO_PROCESS', `There is no process ${String(target)}; ps() lists them.`, {
    details: { target: String(target) },
  })
}

/** How a process is called in answers: `wal_writer(0) <5>`, or `<12>` without a name. */
export const processTitle = ({ name: called, label, pid }: ProcessInfo): string =>
  [called ?? label, `<${pid}>`].filter((part) => part !== undefined).join(' ')

const lookUp = ({ system, instance }: Findable, target: unknown): ProcessInfo | undefined => {
  if (target instanceof ControlHandle) return system.info(Control.name(instance))
  const pid = pidIn(target)
  if (pid !== undefined) return system.processes().find((process) => process.pid === pid)
  if (typeof target === 'string') return system.info(name(target))
  if (isRef(target)) return system.info('ref' in target ? (target.ref as Ref) : target)
  throw new KeelsonError(
    'INVALID_ARGUMENT',
    'A process is meant: its name, as wal_writer(0), its pid or its ref.',
    { details: { path: 'process', expected: 'a name, a pid or a ref', found: typeof target } },
  )
}

const pidIn = (target: unknown): number | undefined => {
  if (typeof target === 'number') return target
  const digits = typeof target === 'string' ? /^<(\d+)>$/.exec(target)?.[1] : undefined
  return digits === undefined ? undefined : Number(digits)
}

/** Refs, and what has one: an entry of `processes()`. */
const isRef = (target: unknown): target is Ref =>
  typeof target === 'object' && target !== null && 'pid' in target

/** A name as it is written for a part with arguments: `wal_writer(0)`, `wal_writer('orders', 0)`. */
export const nameWith = (part: string, parts: readonly unknown[]): Name =>
  name(
    `${part}(${parts.map((each) => (typeof each === 'string' ? `'${each}'` : String(each))).join(', ')})`,
  )
