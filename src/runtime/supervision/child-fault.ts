/**
 * Checks a set of child specifications. Supervisors use it and refuse with OTP's words; trees from
 * a configuration use it and refuse with the path. Pure; it never throws.
 */
import type { ExitReason } from '../words/exit-reason.ts'
import {
  type AutoShutdown,
  type Backoff,
  type RestartOption,
  restartPlan,
} from './restart-policy.ts'

/** The fault of one specification. */
export interface ChildFault {
  /** The field of the specification. */
  readonly field: 'id' | 'start' | 'restart' | 'kind' | 'shutdown' | 'significant'
  /**
   * OTP's reason: the result of `startChild`, and in `['start_spec', reason]` the exit reason of a
   * supervisor that cannot start.
   */
  readonly reason: ExitReason
  readonly expected: string
  readonly found: unknown
}

/** The fault in a set of specifications, and the index of the specification. */
export interface ChildrenFault extends ChildFault {
  readonly at: number
}

/** A specification before it is checked: its fields may hold anything. */
export interface JudgedSpec {
  readonly id?: unknown
  readonly start?: unknown
  readonly restart?: unknown
  readonly kind?: unknown
  readonly shutdown?: unknown
  readonly significant?: unknown
}

/**
 * The first fault of children in start order, or `undefined`: first each child by itself, then
 * duplicate ids.
 */
export const childrenFault = (
  specs: readonly JudgedSpec[],
  autoShutdown: AutoShutdown,
): ChildrenFault | undefined => {
  const ids = new Set<unknown>()
  for (const [at, spec] of specs.entries()) {
    const fault = childFault(spec, autoShutdown) ?? duplicateFault(spec, ids)
    if (fault !== undefined) return { ...fault, at }
    ids.add(spec.id)
  }
  return undefined
}

/** The fault of one child under a supervisor with this `autoShutdown`, or `undefined`. */
export const childFault = (spec: JudgedSpec, autoShutdown: AutoShutdown): ChildFault | undefined =>
  shapeFault(spec) ?? combinationFault(spec, autoShutdown)

/** The fault of a specification by itself. `childFault` checks it under its supervisor. */
export const shapeFault = (spec: JudgedSpec): ChildFault | undefined => {
  if (typeof spec !== 'object' || spec === null)
    return { field: 'id', reason: ['invalid_child_spec', spec], expected: 'an object', found: spec }
  const { id, start, restart, kind, shutdown, significant } = spec
  if (typeof id !== 'string' || id === '')
    return { field: 'id', reason: 'missing_id', expected: 'a text that is not empty', found: id }
  if (typeof start !== 'function')
    return { field: 'start', reason: ['invalid_mfa', start], expected: 'a function', found: start }
  if (!isRestart(restart)) {
    const expected =
      "'permanent', 'transient', 'temporary' or { type, backoff: { fromMs, toMs } }, whole " +
      "milliseconds from 1, and no 'temporary' type"
    return { field: 'restart', reason: ['invalid_restart_type', restart], expected, found: restart }
  }
  if (significant !== undefined && typeof significant !== 'boolean') {
    const reason = ['invalid_significant', significant]
    return { field: 'significant', reason, expected: 'a boolean', found: significant }
  }
  if (isOther(kind, ['worker', 'supervisor'])) {
    const reason = ['invalid_child_type', kind]
    return { field: 'kind', reason, expected: "'worker', 'supervisor'", found: kind }
  }
  if (!isShutdown(shutdown)) {
    const expected = "'brutal_kill', 'infinity' or whole milliseconds"
    return { field: 'shutdown', reason: ['invalid_shutdown', shutdown], expected, found: shutdown }
  }
  return undefined
}

/** A significant child needs a supervisor whose `autoShutdown` can act on its end. */
const combinationFault = (
  { restart, significant }: JudgedSpec,
  autoShutdown: AutoShutdown,
): ChildFault | undefined => {
  if (significant !== true) return undefined
  if (autoShutdown === 'never')
    return badCombination('auto_shutdown', 'never', 'false, as autoShutdown is never')
  if (isRestart(restart) && restartPlan(restart).type === 'permanent')
    return badCombination('restart', 'permanent', 'a transient or temporary child')
  return undefined
}

const badCombination = (option: string, value: string, expected: string): ChildFault => ({
  field: 'significant',
  reason: [
    'bad_combination',
    [
      [option, value],
      ['significant', true],
    ],
  ],
  expected,
  found: true,
})

const duplicateFault = ({ id }: JudgedSpec, ids: ReadonlySet<unknown>): ChildFault | undefined =>
  ids.has(id)
    ? {
        field: 'id',
        reason: ['duplicate_child_name', id],
        expected: 'an id of its own',
        found: id,
      }
    : undefined

const isOther = (found: unknown, allowed: readonly unknown[]): boolean =>
  found !== undefined && !allowed.includes(found)

const isRestart = (restart: unknown): restart is RestartOption | undefined => {
  if (typeof restart !== 'object' || restart === null)
    return !isOther(restart, ['permanent', 'transient', 'temporary'])
  const given: { readonly type?: unknown; readonly backoff?: unknown } = restart
  const { type, backoff, ...others } = given
  if (isOther(type, ['permanent', 'transient']) || Object.keys(others).length > 0) return false
  return isBackoff(backoff)
}

/** Whether `backoff` is `{ fromMs, toMs }`. */
export const isBackoff = (backoff: unknown): backoff is Backoff => {
  if (typeof backoff !== 'object' || backoff === null) return false
  const given: { readonly fromMs?: unknown; readonly toMs?: unknown } = backoff
  const { fromMs, toMs, ...others } = given
  if (Object.keys(others).length > 0) return false
  return isCount(fromMs, 1) && isCount(toMs, fromMs)
}

const isShutdown = (shutdown: unknown): boolean =>
  shutdown === undefined ||
  shutdown === 'brutal_kill' ||
  shutdown === 'infinity' ||
  isCount(shutdown, 0)

const isCount = (found: unknown, min: number): found is number =>
  Number.isSafeInteger(found) && Number(found) >= min
