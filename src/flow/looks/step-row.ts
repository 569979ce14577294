/**
 * An operation of a run as `steps` shows it, with the record of its failure. It is apart from the lists,
 * its only importer, because a look at a row needs no page. Pure.
 */
import type { KeptError } from '../../errors.ts'
import type { Operation, Outcome } from '../runs/record.ts'

/** An operation of a run, as `steps` shows it. */
export type StepRow = {
  readonly key: string
  readonly kind: Operation['kind']
  /** How many tries have failed. */
  readonly tries: number
  readonly outcome: Outcome['kind'] | undefined
  /** The value of its outcome, which may be a `LargeValue`. */
  readonly value: unknown
  /** The error of its outcome, or of its last try. */
  readonly error: KeptError | undefined
  /** When its first try failed, and how many tries it has, if one has failed. */
  readonly failingSince: number | undefined
  readonly triesMax: number | undefined
  /** When its row was written last, and when its timer fires or its next try begins. */
  readonly at: number
  readonly dueAt: number | undefined
  /** The run of a child, as `type/id`. */
  readonly child: string | undefined
}

/** Whether the value of an operation has another row. */
export const isApart = ({ outcome }: Operation): boolean =>
  outcome?.kind === 'ok' && outcome.isApart === true

/** The operation of a row; its value may be elsewhere. */
export const stepOf = ({ key, kind, tries = 0, ...row }: Operation): StepRow => {
  const { outcome, failure, failingSince, triesMax, at, dueAt, child } = row
  const value = outcome?.kind === 'ok' ? outcome.value : undefined
  const error = outcome?.kind === 'error' ? outcome.error : failure
  const failing = { failingSince, triesMax }
  return {
    key,
    kind,
    tries,
    value,
    error,
    ...failing,
    at,
    dueAt,
    child,
    outcome: outcome?.kind,
  }
}
