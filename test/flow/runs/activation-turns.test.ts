/** The turns of an activation: which failures of the storage are waited out, which are final, and which end it. */
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { KeelsonError } from '../../../src/errors.ts'
import { ActivationTurns, makeTurn } from '../../../src/flow/runs/activation-turns.ts'
import type { RunState } from '../../../src/flow/runs/record.ts'
import type { Reply } from '../../../src/runtime/index.ts'

const run = (changes: Partial<RunState> = {}): RunState => ({
  ...{ status: 'running', version: 1, birth: 'b', inputHash: 'h', startedAt: 0, since: 0 },
  ...{ round: 0, lap: 0, outcomes: 0, operations: 0, signals: 0, unread: 0, attempt: 1 },
  ...changes,
})

/** A life whose turns fail in this way, one after another, and then succeed. */
const lifeWith = (failures: readonly unknown[], state = run()) => {
  const clock = virtualClock()
  const left = [...failures]
  const made: Reply<unknown, RunState, never>[] = []
  const apply = async (turn: (state: RunState, context: object) => (typeof made)[number]) => {
    if (left.length > 0) throw left.shift()
    const answer = turn(state, {})
    made.push(answer)
    return answer.value
  }
  return { clock, made, left, life: { system: { clock }, apply } as never }
}
const coded = (code: string) => new KeelsonError(code as 'BUSY', code)

describe('a turn', () => {
  test.each(['NO_SPACE', 'BUSY', 'SHARD_DOWN', 'TIMEOUT'])(
    'that the storage cannot take is made again, after longer and longer pauses: %s',
    async (code) => {
      const { life, clock, made } = lifeWith([coded(code), coded('BUSY'), coded(code)])
      const answer = makeTurn(life, (state) => ['done', { ...state, lap: 7 }])
      await clock.settle()
      expect([made, clock.untilNext() !== undefined]).toEqual([[], true])
      // 1 s, 2 s and 4 s, less up to a fifth.
      await clock.advance(5_500)
      expect(made).toEqual([])
      await clock.advance(1_500)
      expect(await answer).toBe('done')
      expect(made.map(({ state: { lap } }) => lap)).toEqual([7])
    },
  )

  test.each([
    ...['INVALID_ARGUMENT', 'TOO_LARGE', 'CONFLICT', 'BLOCKED', 'CORRUPT'].map(coded),
    ...[new TypeError('of the turn'), 'a text'],
  ])('that would come to the same is not made again: %s', async (error) => {
    const { life, clock, made } = lifeWith([error])
    await expect(makeTurn(life, (state) => [1, state])).rejects.toBe(error)
    expect([made, clock.untilNext()]).toEqual([[], undefined])
  })

  test.each(['EXITED', 'NO_PROCESS', 'CLOSED', 'UNKNOWN_OUTCOME'])(
    'of a life that has ended never settles, and is not made again: %s',
    async (code) => {
      const { life, clock, made } = lifeWith([coded(code)])
      let hasSettled = false
      const settles = (): void => {
        hasSettled = true
      }
      void makeTurn(life, (state) => [1, state]).then(settles, settles)
      await clock.advance(100_000)
      expect([made, hasSettled, clock.untilNext()]).toEqual([[], false, undefined])
    },
  )

  test.each([
    ['running', false],
    ['cancelling', false],
    ['undoing', false],
    ['waiting', true],
    ['blocked', true],
    ['completed', true],
  ] as const)('after which a run is %s lets it leave memory: %s', async (status, leaves) => {
    const { life, made } = lifeWith([])
    await makeTurn(life, (state) => [1, { ...state, status }])
    expect(made[0]?.next).toEqual(leaves ? { hibernate: true } : undefined)
  })
})

test('of a lap that is over is not made when the disk has space again, and never settles', async () => {
  const { life, clock, made } = lifeWith([coded('NO_SPACE')], run({ lap: 1 }))
  const turns = new ActivationTurns(
    clock,
    () => undefined,
    ({ lap }) => lap !== 0,
  )
  turns.begin(life)
  let isSettled = false
  void turns
    .make((state) => [1, { ...state, operations: 1 }])
    .finally(() => {
      isSettled = true
    })
  await clock.advance(5_000)
  expect([isSettled, made.map(({ state }) => state.operations)]).toEqual([false, [0]])
})

test('that goes first is overtaken by no later turn while the storage cannot take it, or when it fails', async () => {
  const { life, clock } = lifeWith([coded('NO_SPACE'), coded('NO_SPACE'), coded('CORRUPT')])
  const turns = new ActivationTurns(clock, () => undefined)
  turns.begin(life)
  const done: string[] = []
  const make = (what: string, first?: boolean): void => {
    const turn = turns.make((state) => [what, state], first)
    turn.then(
      () => done.push(what),
      () => done.push(`${what} fails`),
    )
  }
  make('first', true)
  make('second')
  make('third', true)
  make('fourth')
  await clock.settle()
  expect(done).toEqual([])
  await clock.advance(10_000)
  expect(done).toEqual(['first fails', 'second', 'third', 'fourth'])
})

describe('the progress of a run', () => {
  const reporting = (state = run(), failures: readonly unknown[] = []) => {
    const world = lifeWith(failures, state)
    const turns: (() => Promise<void>)[] = []
    const turnsOfRun = new ActivationTurns(world.clock, (turn) => void turns.push(turn))
    turnsOfRun.begin(world.life)
    return { ...world, turns, turnsOfRun }
  }

  test('is in the next turn, whichever that is, once', async () => {
    const { turnsOfRun, made, turns, clock } = reporting()
    turnsOfRun.report(1)
    turnsOfRun.report(2)
    await turnsOfRun.make((state) => [0, state])
    await turnsOfRun.make((state) => [0, state])
    await clock.settle()
    expect(made.map(({ state }) => state)).toEqual([run({ progress: 2 }), run()])
    // Nothing is left for a turn of its own.
    expect(turns).toEqual([])
  })

  test('has a turn of its own if no other comes, one for all reports of a moment', async () => {
    const { turnsOfRun, made, turns, clock } = reporting()
    turnsOfRun.report(1)
    turnsOfRun.report(2)
    await clock.settle()
    expect(turns).toHaveLength(1)
    await turns[0]?.()
    expect(made.map(({ state }) => state)).toEqual([run({ progress: 2 })])
    turnsOfRun.report(3)
    await clock.settle()
    expect(turns).toHaveLength(2)
  })

  test('that the run shows already changes nothing: a replay reports its last one again', async () => {
    const state = run({ progress: { done: 2 } })
    const { turnsOfRun, made } = reporting(state)
    turnsOfRun.report({ done: 1 })
    turnsOfRun.report({ done: 2 })
    await turnsOfRun.make((state) => [0, state])
    expect(made[0]?.state).toBe(state)
  })

  test('is the last one, also in a turn that the storage takes after a later turn', async () => {
    const { turnsOfRun, made, clock } = reporting(run(), [coded('NO_SPACE')])
    turnsOfRun.report(1)
    const first = turnsOfRun.make((state) => [0, { ...state, lap: 1 }])
    turnsOfRun.report(2)
    await turnsOfRun.make((state) => [0, { ...state, lap: 2 }])
    await clock.advance(2_000)
    await first
    expect(made.map(({ state: { lap, progress } }) => [lap, progress])).toEqual([
      [2, 2],
      [1, 2],
    ])
  })

  test('is not that of a run that has ended', async () => {
    const { turnsOfRun, made } = reporting(run({ status: 'cancelled' }))
    turnsOfRun.report(1)
    await turnsOfRun.make((state) => [0, state])
    expect(made.map(({ state }) => state)).toEqual([run({ status: 'cancelled' })])
  })
})
