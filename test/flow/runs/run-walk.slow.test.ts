/**
 * Every order of events that one run can meet: units that are stored, refused and lost, steps that end and
 * fail, signals, updates, a cancel, an end by force, and crashes.
 */
import { expect, test } from 'vitest'
import { type RunLimits, RunWorld } from '../../support/models/run-world.ts'

/** A run that goes on for ever has more. */
const statesMax = 4_000

/** Walks over all reachable states. Returns how many there are, and what is wrong with the first bad one. */
const walk = async (limits: RunLimits) => {
  const seen = new Set<string>()
  const waiting: (readonly string[])[] = [[]]
  const ends = new Set<string>()
  for (let path = waiting.pop(); path; path = waiting.pop()) {
    const world = await new RunWorld(limits).begin()
    for (const event of path) await world.on(event)
    const { key, events } = world
    if (seen.has(key)) continue
    seen.add(key)
    const wrong = world.isOver ? [...world.wrong, ...world.leftOver] : world.wrong
    if (seen.size > statesMax) return { states: seen.size, ends, wrong: ['no end'], path }
    if (wrong.length > 0) return { states: seen.size, ends, wrong, path }
    if (world.isOver) ends.add(world.status)
    for (const event of events) waiting.push([...path, event])
  }
  return { states: seen.size, ends, wrong: [], path: [] }
}

const waits: RunLimits['body'] = async (ctx, _, life) => {
  ctx.onUpdate('put' as never, ((value: number) => value) as never)
  await ctx.step('u', () => life.step('u'), {
    retry: { max: 1 },
    undo: () => life.undoes('u'),
  })
  life.got('u')
  await ctx.waitFor('go')
  life.got('go#1')
}

/** A body that begins again, and leaves a step behind. */
const again: RunLimits['body'] = async (ctx, lap, life) => {
  if (lap === 0) {
    void ctx.sleep('nap', '1h').catch(() => undefined)
    await ctx.step('a', () => life.step('a'))
    life.got('a')
    ctx.again(1)
  }
  await ctx.waitFor('go')
  life.got('go#1')
}

/** A body that does something else in each replay. */
const diverges: RunLimits['body'] = async (ctx, _, life) => {
  const key = `step${life.number}`
  await ctx.step(key, () => life.step(key))
  life.got(key)
  await ctx.waitFor('go')
  life.got('go#1')
}

/** A body that is refused again and again after its cancel. */
const polls: RunLimits['body'] = async (ctx, _, life) => {
  for (let at = 0; at < 3; at++)
    try {
      await ctx.step(`u${at}`, () => life.step(`u${at}`), { undo: () => life.undoes(`u${at}`) })
      await ctx.waitFor('go')
      return
    } catch {
      // In the next round.
    }
}

const none = { refusals: 0, crashes: 0 } as const
const crash = { refusals: 0, crashes: 1 } as const
const full = { refusals: 1, crashes: 0 } as const
const large = { ...full, mayBeLarge: true } as const

/** `waiting`, `none`: the walk has sent the signal before the run began, or has lost its start. */
test.each<[string, RunLimits, string]>([
  ['a step, and a signal', { ...none, body: waits, inputs: ['go', 'result'] }, 'completed'],
  ['crashes', { ...crash, body: waits, inputs: ['go', 'result'] }, 'completed waiting none'],
  [
    'an update, and a step that fails',
    { ...none, body: waits, inputs: ['go', 'put'], mayFail: true },
    'completed failed',
  ],
  [
    'a cancel, and a step that fails',
    { ...none, body: waits, inputs: ['cancel', 'go'], mayFail: true },
    'completed failed cancelled',
  ],
  [
    'a cancel with a crash',
    { ...crash, body: waits, inputs: ['cancel', 'go'] },
    'completed cancelled waiting none',
  ],
  [
    'an end by force',
    { ...none, body: waits, inputs: ['force', 'go', 'cancel'] },
    'completed cancelled',
  ],
  ['a full disk', { ...full, body: waits, inputs: ['go', 'result'] }, 'completed waiting'],
  ['a large unit', { ...large, body: waits, inputs: ['go'] }, 'completed blocked waiting'],
  [
    'an end by force of a run that is being blocked',
    { ...large, body: waits, inputs: ['force', 'go'] },
    'completed cancelled waiting',
  ],
  [
    'a next lap on a full disk',
    { ...full, body: again, inputs: ['go', 'cancel'] },
    'completed cancelled waiting',
  ],
  ['a next lap in a crash', { ...crash, body: again, inputs: ['go'] }, 'completed waiting none'],
  [
    'a body that diverges',
    { ...crash, body: diverges, inputs: ['go', 'result'], mayDiverge: true },
    'completed blocked waiting none',
  ],
  [
    'a body that catches its cancel',
    { ...crash, body: polls, inputs: ['go', 'cancel'] },
    'completed cancelled waiting none',
  ],
])(
  '%s: nothing goes unanswered, and nothing is told before it is durable',
  async (_, limits, ends) => {
    const found = await walk(limits)
    expect([found.wrong, found.path]).toEqual([[], []])
    expect([...found.ends].sort()).toEqual(ends.split(' ').sort())
    expect(found.states).toBeGreaterThan(50)
  },
  120_000,
)
