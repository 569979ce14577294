/**
 * The rows by which jobs are found by their attributes: `a/` for each attribute, with a hash of its name
 * and value and the number of the job, and `b/` with the row where the job is. A job without attributes
 * has none. They end with their job, or with its result. Pure.
 */
import type { DurableRows } from '../../actors/index.ts'
import { plainJson } from '../../bytes/json.ts'
import type { Attributes, AttributeValue } from '../attributes/attributes.ts'
import { hashOfText } from '../runs/values.ts'
import { jobDigits } from './queue-rows.ts'

/** The prefix of the rows of the jobs that have this attribute, in the order in which they were added. */
export const attributePrefix = (name: string, value: AttributeValue): string =>
  `a/${hashOfText(plainJson([name, value])).toString('hex')}/`

/** The row that has the row of a job with attributes. */
export const placeRow = (number: number): string => `b/${jobDigits(number)}`

/** A job with these attributes was added, as this number. */
export const indexJob = (number: number, attributes: Attributes, rows: DurableRows): void => {
  for (const [name, value] of Object.entries(attributes))
    rows.put(attributePrefix(name, value) + jobDigits(number), 0)
}

/** A job is in this row from now on. */
export const placeJob = (
  number: number,
  attributes: Attributes | undefined,
  row: string,
  rows: DurableRows,
): void => {
  if (attributes) rows.put(placeRow(number), row)
}

/** A job is gone, and its result too. */
export const forgetJob = (
  number: number,
  attributes: Attributes | undefined,
  rows: DurableRows,
): void => {
  if (!attributes) return
  for (const [name, value] of Object.entries(attributes))
    rows.delete(attributePrefix(name, value) + jobDigits(number))
  rows.delete(placeRow(number))
}
