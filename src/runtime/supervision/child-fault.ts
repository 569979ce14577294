/**
 * Whether a set of child specifications is right, as one function that whoever starts children asks: supervisors, which
 * refuse with OTP's words, and trees from configuration, which refuse with the place. Pure; nothing is thrown.
 */
import type { ExitReason } from '../words/exit-reason.ts'
import type { AutoShutdown } from './restart-policy.ts'

/** What is wrong with one specification. */
export interface ChildFault {
  /** Where in the specification. */
  readonly field: 'id' | 'start' | 'restart' | 'kind' | 'shutdown' | 'significant'
  /** OTP's word for it: what `startChild` answers, and what `['start_spec', reason]` ends a starting supervisor with. */
  readonly reason: ExitReason
  readonly expected: string
  readonly found: unknown
}

/** What is wrong in a set of them, and with which, from 0. */
export interface ChildrenFault extends ChildFault {
  readonly at: number
}

/** A specification that is not known to be one: anything may stand in its fields. */
export interface JudgedSpec {
  readonly id?: unknown
  readonly start?: unknown
  readonly restart?: unknown
  readonly kind?: unknown
  readonly shutdown?: unknown
  readonly significant?: unknown
}

/** The first fault of a set of children in their order of start, or `undefined`: each by itself, then ids that differ. */
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

/** What is wrong with a specification wherever it is used; whether its parts go together is `childFault`'s. */
export const shapeFault = (spec: JudgedSpec): ChildFault | undefined => {
  if (typeof spec !== 'object' || spec === null)
    return { field: 'id', reason: ['invalid_child_spec', spec], expected: 'an object', found: spec }
  const { id, start, restart, kind, shutdown, significant } = spec
  if (typeof id !== 'string' || id === '')
    return { field: 'id', reason: 'missing_id', expected: 'a text that is not empty', found: id }
  if (typeof start !== 'function')
    return { field: 'start', reason: ['invalid_mfa', start], expected: 'a function', found: start }
  if (isOther(restart, ['permanent', 'transient', 'temporary'])) {
    const expected = "'permanent', 'transient', 'temporary'"
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

/** A significant child makes sense only where an end of it can be the end of its supervisor. */
const combinationFault = (
  { restart = 'permanent', significant }: JudgedSpec,
  autoShutdown: AutoShutdown,
): ChildFault | undefined => {
  if (significant !== true) return undefined
  if (autoShutdown === 'never')
    return badCombination('auto_shutdown', 'never', 'false, as autoShutdown is never')
  if (restart === 'permanent')
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

const isShutdown = (shutdown: unknown): boolean =>
  shutdown === undefined ||
  shutdown === 'brutal_kill' ||
  shutdown === 'infinity' ||
  (Number.isSafeInteger(shutdown) && (shutdown as number) >= 0)
