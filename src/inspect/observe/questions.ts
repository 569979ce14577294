/** The questions of the page of `keelson observe`, as they come: texts by name. And their answers. Pure. */

import { type ErrorCode, invalidArgument, KeelsonError } from '../../errors.ts'
import type { Refusal } from '../../observe/index.ts'
import { noOptions, ownOf } from '../../own-names.ts'

/** The answer to a request. */
export type Answered = { readonly id: number } & (
  | { readonly answer: unknown }
  | { readonly refusal: Refusal }
)

/** The answer. @throws KeelsonError the refusal */
export const answerIn = (answered: Answered): unknown => {
  if (!('refusal' in answered)) return answered.answer
  const { code, message } = answered.refusal
  throw new KeelsonError(code as ErrorCode, message)
}

/** The parts of a question. Nobody has checked them. */
export type Query = Readonly<Record<string, unknown>>

/** A text that must be there. @throws KeelsonError `INVALID_ARGUMENT` */
export const textIn = (query: Query, name: string): string => {
  const value = ownOf(query, name)
  if (typeof value !== 'string' || value === '') throw invalidArgument(name, 'a text', value)
  return value
}

/** A text, if it is there and not empty. */
export const optionalText = (query: Query, name: string): string | undefined => {
  const given = ownOf(query, name)
  return given === undefined || given === '' ? undefined : textIn(query, name)
}

/** A whole number from `min` to `max`. @throws KeelsonError `INVALID_ARGUMENT` */
export const numberIn = (
  query: Query,
  name: string,
  {
    min = 0,
    max = Number.MAX_SAFE_INTEGER,
  }: { readonly min?: number; readonly max?: number } = noOptions,
): number => {
  const given = ownOf(query, name)
  const value = typeof given === 'string' && /^\d{1,16}$/.test(given) ? Number(given) : given
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
    throw invalidArgument(name, `a whole number from ${min} to ${max}`, given)
  return value as number
}

/** A whole number, if it is there. */
export const optionalNumber = (
  query: Query,
  name: string,
  bounds?: { readonly min?: number; readonly max?: number },
): number | undefined =>
  ownOf(query, name) === undefined ? undefined : numberIn(query, name, bounds)

/** One of some words, if it is there. @throws KeelsonError `INVALID_ARGUMENT` */
export const wordIn = <W extends string>(
  query: Query,
  name: string,
  words: readonly W[],
): W | undefined => {
  const value = optionalText(query, name)
  const found = words.find((word) => word === value)
  if (value !== undefined && found === undefined)
    throw invalidArgument(name, `one of ${words.join(', ')}`, value)
  return found
}

/** The fields that have a value: absent ones are not in JSON. */
export const given = <T extends object>(
  fields: {
    readonly [K in keyof T]?: T[K] | undefined
  },
): Partial<T> =>
  Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined),
  ) as Partial<T>
