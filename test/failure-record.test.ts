/** The record of a failure: what it keeps of an error, in which order, and within which bounds. */
import { createConnection } from 'node:net'
import { expect, test } from 'vitest'
import { errorOf, KeelsonError } from '../src/errors.ts'
import { failureRecord, keptText, recordLines } from '../src/failure-record.ts'

const sizeOf = (record: unknown): number => Buffer.byteLength(JSON.stringify(record))

/** A port on which nothing listens. */
const refused = (): Promise<Error> =>
  new Promise((resolve) => {
    createConnection({ host: '127.0.0.1', port: 1 }).on('error', resolve)
  })

test('a record has the error, the frames of the user, and no frame of Keelson or of Node', () => {
  const frames =
    '    at node:internal/process/task_queues:95:5\n    at charge (/app/charge.ts:7:11)'
  const own = `    at step (${import.meta.dirname}/../src/flow.ts:1:1)`.replace('/test/..', '')
  const error = Object.assign(new TypeError('no'), { stack: `TypeError: no\n${own}\n${frames}` })

  expect(failureRecord(error)).toEqual({
    ...{ name: 'TypeError', message: 'no', stack: '    at charge (/app/charge.ts:7:11)' },
  })
})

test('a refused connection is kept with its code, its address and its port', async () => {
  const error = new TypeError('fetch failed', { cause: await refused() })

  const { causes } = failureRecord(error)
  expect(causes?.[0]).toMatchObject({ code: 'ECONNREFUSED', address: '127.0.0.1', port: 1 })
  expect(keptText(failureRecord(error))).toBe(
    'TypeError: fetch failed; cause: ECONNREFUSED: connect ECONNREFUSED 127.0.0.1:1',
  )
})

test('the chain has the causes of causes, and the errors of an AggregateError after it', () => {
  const both = new AggregateError([new Error('first'), new Error('second')], 'both')
  const error = new Error('top', { cause: new RangeError('middle', { cause: both }) })

  const messages = failureRecord(error).causes?.map(({ name, message }) => `${name}: ${message}`)
  expect(messages).toEqual([
    'RangeError: middle',
    'AggregateError: both',
    'Error: first',
    'Error: second',
  ])
})

test('a cause names the place where it was thrown', () => {
  const { causes, ...error } = failureRecord(new Error('top', { cause: new Error('below') }))

  expect(causes?.[0]?.at).toContain('failure-record.test.ts')
  const lines = recordLines({ ...error, ...(causes && { causes }) })
  expect(lines[0]).toBe('Error: top')
  expect(lines.at(-2)).toBe('caused by Error: below')
  expect(lines.at(-1)).toContain('    at ')
})

test('a cause that a function of the language has thrown names the place of its call', () => {
  const parse = (text: string) => JSON.parse(text)
  const cause = (() => {
    try {
      return parse('{')
    } catch (error) {
      return error
    }
  })()

  expect(failureRecord(new Error('top', { cause })).causes?.[0]?.at).toMatch(
    /^parse \(.*failure-record\.test\.ts/,
  )
  const none = Object.assign(new Error('no'), {
    stack: 'Error: no\n    at new Promise (<anonymous>)',
  })
  expect(failureRecord(new Error('top', { cause: none })).causes?.[0]?.at).toBe(
    'new Promise (<anonymous>)',
  )
})

test('an error that causes itself ends the chain', () => {
  const error = new Error('round')
  Object.assign(error, { cause: Object.assign(new Error('and'), { cause: error }) })

  expect(failureRecord(error).causes?.map(({ message }) => message)).toEqual(['and'])
})

test('a record has at most 8 KiB, and causes come before the stack', () => {
  const long = 'ü'.repeat(5_000)
  const cause = (depth: number): Error =>
    new Error(long, depth > 0 ? { cause: cause(depth - 1) } : undefined)
  const error = new Error('short', { cause: cause(20) })
  const frame = `    at f (/app/${'x'.repeat(500)}.ts:1:1)`
  error.stack = `Error: short\n${Array.from({ length: 100 }, () => frame).join('\n')}`

  const record = failureRecord(error)
  expect(sizeOf(record)).toBeLessThanOrEqual(8 * 1024)
  expect(record.causes).toHaveLength(8)
  expect(record.stack?.split('\n').length).toBeLessThan(5)
  expect(sizeOf(failureRecord(new Error(long)))).toBeLessThanOrEqual(8 * 1024)
  for (let length = 0; length < 2_000; length++) {
    error.stack = `Error: short\n    at f (/app/${'x'.repeat(length)}.ts:1:1)`
    expect(sizeOf(failureRecord(error))).toBeLessThanOrEqual(8 * 1024)
  }
})

test('anything may be thrown: a secret in it is hidden, and a revoked proxy ends nothing', () => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  expect(failureRecord({ password: 'hunter2' }).message).not.toContain('hunter2')
  expect(failureRecord(proxy).name).toBe('Error')
  expect(failureRecord(new Error('top', { cause: proxy })).causes).toHaveLength(1)
  const withSecret = new Error('top', { cause: { token: 'hunter2' } })
  expect(JSON.stringify(failureRecord(withSecret))).not.toContain('hunter2')
})

test('an error of a record has its frames and its causes, and the record of that is the same', () => {
  const record = failureRecord(
    Object.assign(new TypeError('no', { cause: new KeelsonError('CONFLICT', 'taken') }), {
      code: 'E1',
    }),
  )

  const error = errorOf(record)
  expect(error.stack).toBe(`TypeError: no\n${record.stack}`)
  expect(error.cause).toMatchObject({ name: 'KeelsonError', code: 'CONFLICT', message: 'taken' })
  expect(failureRecord(error)).toEqual(record)
})

test('an error of a record without a stack has no frame of the place where it is made', () => {
  expect(errorOf({ name: 'Error', message: 'no' }).stack).toBe('Error: no')
})
