/** The end of one activation of a run, over an entity that the test answers for. */
import { expect, test } from 'vitest'
import { ownWork } from '../../../src/actors/index.ts'
import { ownTime } from '../../../src/actors/turns/durable-server.ts'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError, keptError } from '../../../src/errors.ts'
import { type Ctx, workflow } from '../../../src/flow/index.ts'
import { RunActivation } from '../../../src/flow/runs/activation.ts'
import type { Present } from '../../../src/flow/runs/messages.ts'
import type { RunState, RunStatus } from '../../../src/flow/runs/record.ts'
import { diverged } from '../../../src/flow/runs/replay.ts'

const run = (status: RunStatus): RunState => ({
  ...{ status, version: 1, birth: 'b', inputHash: 'h', startedAt: 0, since: 0 },
  ...{ round: 0, lap: 0, outcomes: 0, operations: 0, signals: 0, unread: 0, attempt: 1 },
})

type Turn = (state: RunState, context: object) => { readonly value: unknown }

/** An activation that reads a run in this status. Its turns wait until `answer` or `refuse`. */
const activated = (found: RunStatus = 'running') => {
  let status = found
  const told: string[] = []
  const clock = virtualClock()
  const bodies: string[] = []
  const waiting: { readonly answer: () => void; readonly refuse: (error: unknown) => void }[] = []
  const rows = { range: () => ({ entries: [] }) }
  const apply = (turn: Turn): Promise<unknown> => {
    const { value } = turn(run(status), { rows, [ownTime]: { wall: () => 0 } })
    return new Promise((resolve, reject) => {
      waiting.push({ answer: () => resolve(value), refuse: reject })
    })
  }
  const present = {
    ...{ activation: undefined, isCancelled: false, waiting: new Set(), updates: new Map() },
    failing: { begin: () => undefined, end: () => undefined },
  } as unknown as Present
  const background = {
    ...{ apply, now: () => 0, self: {}, consistsOf: () => undefined },
    [ownWork]: { isClosing: false, onClose: undefined },
    system: { clock, monitor: () => () => undefined, events: { listenerCount: () => 0 } },
  }
  const hangs = workflow('hangs', (_: Ctx) => {
    bodies.push('begun')
    return new Promise(() => undefined)
  })
  const activation = new RunActivation({
    ...{
      workflow: hangs,
      id: '1',
      system: background.system,
      entities: { trouble: { log: { ended: (_: object, how: string) => void told.push(how) } } },
      present,
      isSecond: false,
    },
  } as never)
  const ended = activation.run(background as never).catch((error) => error)
  const settled = async () => {
    await clock.settle()
    return waiting.shift()
  }
  const becomes = (next: RunStatus): void => {
    status = next
  }
  return { activation, present, bodies, ended, settled, becomes, told }
}

const error = keptError(new Error('why'))

test.each([
  ['BLOCKED', 'rest'],
  ['TOO_LARGE', 'TOO_LARGE'],
] as const)('whose entity answers %s to the turn that blocks the run: %s', async (code, end) => {
  const { activation, present, ended, settled } = activated()
  ;(await settled())?.answer()
  await settled()
  activation.block(error)
  ;(await settled())?.refuse(new KeelsonError(code, 'no'))
  const after = await ended
  expect(after instanceof KeelsonError ? after.code : after).toBe(end)
  expect(present.activation).toBe(undefined)
})

test('is not followed by a replay if its body diverges while the run is being blocked', async () => {
  const { activation, ended, settled } = activated()
  ;(await settled())?.answer()
  await settled()
  activation.block(error)
  activation.diverges(diverged('the body has asked for another operation', {}))
  ;(await settled())?.answer()
  expect(await ended).toBe('rest')
})

test.each([
  ['running', ['is blocked']],
  ['cancelled', []],
] as const)('is told as blocked if its run was not ended before: %s', async (status, expected) => {
  const { activation, ended, settled, becomes, told } = activated()
  ;(await settled())?.answer()
  await settled()
  becomes(status)
  activation.block(error)
  ;(await settled())?.answer()
  expect([await ended, told]).toEqual(['rest', expected])
})

test('leaves nothing that is notified if the run was ended by force while it was read', async () => {
  const { activation, present, bodies, ended, settled } = activated()
  const read = await settled()
  activation.stop()
  read?.answer()
  expect([await ended, present.activation, bodies]).toEqual(['rest', undefined, []])
})

test.each(['blocked', 'waiting', 'completed'] as const)(
  'begins no body of a run that it finds %s',
  async (status) => {
    const { present, bodies, ended, settled } = activated(status)
    ;(await settled())?.answer()
    expect([await ended, present.activation, bodies]).toEqual(['rest', undefined, []])
  },
)
