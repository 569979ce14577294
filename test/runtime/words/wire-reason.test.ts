/** An error that crosses to another thread or member is what it was. */
import { expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import { linkKinds, readMessage, reasonFrame } from '../../../src/members/links/link-message.ts'
import { toWire } from '../../../src/runtime/threads/thread-messages.ts'
import { reasonFromWire } from '../../../src/runtime/words/wire-reason.ts'

const crossings = {
  'to another thread': (error: unknown) => reasonFromWire(structuredClone(toWire(error))),
  'to another member': (error: unknown) => {
    const message = readMessage(reasonFrame(linkKinds.failed, 1, error).subarray(4))
    return 'error' in message ? message.error : message
  },
}

test.each(Object.entries(crossings))(
  '%s: an error in the details is an error there, with its code and its details',
  (_, cross) => {
    const inner = new KeelsonError('NO_SPACE', 'full', { details: { shard: 2 } })
    const reason = new KeelsonError('CONFLICT', 'no', {
      details: { reason: inner, why: 'x', at: 7 },
    })
    const error = new KeelsonError('EXITED', 'ended', { details: { reason, target: 'a' } })
    const back = cross(error)
    expect(back).toMatchObject({
      ...{ code: 'EXITED', message: 'ended' },
      details: {
        target: 'a',
        reason: {
          ...{ code: 'CONFLICT', message: 'no' },
          details: { why: 'x', at: 7, reason: { code: 'NO_SPACE', details: { shard: 2 } } },
        },
      },
    })
    expect((back as KeelsonError).details.reason).toBeInstanceOf(KeelsonError)
  },
)

test.each(Object.entries(crossings))('%s: details without an end cross in part', (_, cross) => {
  const details: Record<string, unknown> = { shard: 1 }
  const error = new KeelsonError('EXITED', 'round and round', { details })
  details.reason = error
  let depth = 0
  for (let at: unknown = cross(error); at instanceof KeelsonError; at = at.details.reason) depth++
  expect(depth).toBeGreaterThan(1)
  expect(depth).toBeLessThan(12)
})
