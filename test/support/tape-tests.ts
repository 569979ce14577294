/** Tests in the words of tape, as published suites give them, run as tests of vitest. Only the words that are used are here. */
import assert from 'node:assert/strict'
import { test } from 'vitest'

/** What a test of tape is given. */
export type TapeTest = {
  is(actual: unknown, expected: unknown, message?: string): void
  isNot(actual: unknown, expected: unknown, message?: string): void
  same(actual: unknown, expected: unknown, message?: string): void
  ok(value: unknown, message?: string): void
  pass(message?: string): void
  fail(message?: string): void
  throws(act: () => unknown, expected?: (error: unknown) => boolean, message?: string): void
  doesNotThrow(act: () => unknown, message?: string): void
  plan(count: number): void
  end(): void
  test(name: string, run: TapeRun): void
}
type TapeRun = (t: TapeTest) => unknown

/** Runs one test. Resolves when it ended, as tape says: by `end`, by its plan, or with its promise. */
const runTape = async (run: TapeRun): Promise<void> => {
  const inner: (() => Promise<void>)[] = []
  let asserted = 0
  let planned: number | undefined
  await new Promise<void>((resolve, reject) => {
    const holds = (check: () => void): void => {
      try {
        check()
      } catch (error) {
        reject(error)
      }
      asserted++
      if (asserted === planned) resolve()
    }
    const returned = run({
      is: (actual, expected, message) => holds(() => assert.equal(actual, expected, message)),
      isNot: (actual, expected, message) => holds(() => assert.notEqual(actual, expected, message)),
      same: (actual, expected, message) => holds(() => assert.deepEqual(actual, expected, message)),
      ok: (value, message) => holds(() => assert.ok(value, message)),
      pass: () => holds(() => undefined),
      fail: (message) => holds(() => assert.fail(message)),
      throws: (act, expected, message) =>
        holds(() =>
          expected ? assert.throws(act, expected, message) : assert.throws(act, message),
        ),
      doesNotThrow: (act, message) => holds(() => assert.doesNotThrow(act, message)),
      plan: (count) => {
        planned = count
      },
      end: resolve,
      test: (_, part) => inner.push(() => runTape(part)),
    })
    if (returned instanceof Promise) returned.then(() => planned === undefined && resolve(), reject)
  })
  if (planned !== undefined) assert.equal(asserted, planned, 'the planned number of assertions')
  for (const part of inner) await part()
}

/** Registers a test of tape. */
export const tapeTest = (name: string, run: TapeRun): void => test(name, () => runTape(run))
