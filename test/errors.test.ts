import { expect, test } from 'vitest'
import { KeelsonError } from '../src/errors.ts'

test('a KeelsonError as JSON shows the errors inside it, in details and as its cause', () => {
  const refused = Object.assign(new Error('connection refused'), { code: 'ECONNREFUSED' })
  const inner = new KeelsonError('EXITED', 'the process ended', {
    details: { reason: ['shutdown', refused] },
    cause: refused,
  })
  const outer = new KeelsonError('PARTIAL', 'one failed', {
    details: { outcomes: [{ shard: 0, ok: false, error: inner }], at: new Date(0) },
  })

  const plain = { name: 'Error', code: 'ECONNREFUSED', message: 'connection refused' }
  expect(JSON.parse(JSON.stringify(outer))).toEqual({
    name: 'KeelsonError',
    code: 'PARTIAL',
    message: 'one failed',
    details: {
      outcomes: [
        {
          shard: 0,
          ok: false,
          error: {
            name: 'KeelsonError',
            code: 'EXITED',
            message: 'the process ended',
            details: { reason: ['shutdown', plain] },
            cause: plain,
          },
        },
      ],
      at: '1970-01-01T00:00:00.000Z',
    },
  })
})

test('an error that contains itself ends as JSON', () => {
  const details: Record<string, unknown> = {}
  const error = new KeelsonError('EXITED', 'round', { details })
  details.self = { error }
  error.cause = error

  expect(error.toJSON()).toEqual({
    name: 'KeelsonError',
    code: 'EXITED',
    message: 'round',
    details: { self: { error: '…' } },
    cause: '…',
  })
})

test('whole numbers of any size in an error are text in its JSON', () => {
  const error = new KeelsonError('EXITED', 'the process ended', {
    details: { reason: { cents: 5n }, list: [2n ** 64n] },
    cause: 7n,
  })

  expect(JSON.parse(JSON.stringify(error))).toMatchObject({
    details: { reason: { cents: '5' }, list: ['18446744073709551616'] },
    cause: '7',
  })
})
