/** Terms of scenarios: what the special ones stand for where they are used, and when two traces are equal. */
import type { ChildSpec, Ref } from '../../../src/runtime/index.ts'
import type { Recorder } from './recorder.ts'
import type { Term } from './scenario.ts'

/** What the special terms of an action stand for. */
export type Scope = {
  readonly recorder: Recorder
  readonly self: Ref
  readonly parent: Ref | undefined
  readonly state: unknown
  readonly payload: unknown
  readonly from: Ref | undefined
}

/** The value of a term. */
export const evaluate = (term: Term | undefined, scope: Scope): unknown => {
  if (term === undefined || term === null) return null
  if (typeof term !== 'object') return term
  if (Array.isArray(term)) return term.map((each) => evaluate(each, scope))
  const [key, of] = Object.entries(term)[0] ?? []
  switch (key) {
    case '$pid':
      return scope.recorder.refOf(String(of)) ?? null
    case '$latest':
      return scope.recorder.latest(String(of)) ?? null
    case '$self':
      return scope.self
    case '$parent':
      return scope.parent ?? null
    case '$state':
      return scope.state
    case '$payload':
      return scope.payload
    case '$from':
      return scope.from ?? null
    default:
      return Object.fromEntries(
        Object.entries(term).map(([name, each]) => [name, evaluate(each, scope)]),
      )
  }
}

/** A specification of a child, as a failed `start_child` gives it back. */
export const isChildSpec = (value: object): value is ChildSpec =>
  'id' in value && 'start' in value && typeof value.start === 'function'
