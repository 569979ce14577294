/** Adds under a debounce or a throttle: many of one key are one job. */
import { describe, expect, test } from 'vitest'
import { flow, flows, type JobOptions, queue } from '../../../src/flow/index.ts'
import { supervisor } from '../../../src/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

const world = async () => {
  const started: string[] = []
  const index = queue(
    'index',
    async (version: string) => {
      started.push(version)
      return `done ${version}`
    },
    { keep: { results: '1d' } },
  )
  const s = await simulated({ app: supervisor('app', {}, [flows({ queues: [index] })]) })
  return {
    ...{ s, index, started },
    add: async (version: string, options: JobOptions) =>
      s.during(flow(s.app).add(index, version, options)),
    result: (id: string) => s.during(flow(s.app).job(index, id).result()),
  }
}

describe('a debounce', () => {
  const debounce = { key: 'a', ms: '10s' } as const

  test('has one job of the last add, when none has come for its time, also over a power cut', {
    tags: ['W1', 'W10'],
  }, async () => {
    const w = await world()
    const debounce = { key: 'a', ms: '10m' } as const
    expect(await w.add('one', { debounce })).toEqual({ id: '1', repeated: false })
    await w.s.advance(540_000)
    const second = await w.add('two', { debounce })
    expect(second).toEqual({ id: '1', repeated: true, replaced: true })
    await w.s.powerCut()
    await w.s.start()
    await w.s.advance(540_000)
    expect(w.started).toEqual([])
    await w.s.advance(61_000)
    expect(w.started).toEqual(['two'])
    expect(await w.result('1')).toBe('done two')
    expect(await w.add('three', { debounce })).toEqual({ id: '2', repeated: false })
  })

  test('of the first add keeps its value, and starts as late', async () => {
    const w = await world()
    await w.add('one', { debounce: { ...debounce, keep: 'first' } })
    await w.s.advance(9_000)
    const second = await w.add('two', { debounce: { ...debounce, keep: 'first' } })
    expect(second).toEqual({ id: '1', repeated: true })
    await w.s.advance(9_000)
    expect(w.started).toEqual([])
    await w.s.advance(1_100)
    expect(w.started).toEqual(['one'])
  })

  test('starts at the latest when its bound is over', async () => {
    const w = await world()
    const bounded = { ...debounce, maxMs: '25s' }
    for (const version of ['one', 'two', 'three', 'four']) {
      await w.add(version, { debounce: bounded as typeof debounce })
      await w.s.advance(8_000)
    }
    expect(w.started).toEqual(['four'])
  })

  test('ends with the removal of its job, and keys do not meet', async () => {
    const w = await world()
    await w.add('one', { debounce })
    expect(await w.add('other', { debounce: { ...debounce, key: 'b' } })).toMatchObject({ id: '2' })
    await w.s.during(flow(w.s.app).job(w.index, '1').remove())
    expect(await w.add('two', { debounce })).toEqual({ id: '3', repeated: false })
    await w.s.advance(11_000)
    expect(w.started.sort()).toEqual(['other', 'two'])
  })

  test('ends in a paused queue too, and its job waits for the end of the pause', async () => {
    const w = await world()
    await w.s.during(flow(w.s.app).pause(w.index))
    await w.add('one', { debounce })
    await w.s.advance(11_000)
    expect(await w.add('two', { debounce })).toEqual({ id: '2', repeated: false })
    await w.s.advance(11_000)
    await w.s.during(flow(w.s.app).resume(w.index))
    await w.s.settle()
    expect(w.started).toEqual(['one', 'two'])
  })
})

describe('a throttle', () => {
  const throttle = { key: 'a', ms: '1m' } as const

  test('starts the first job at once, and none of the others within its time', {
    tags: ['W10'],
  }, async () => {
    const w = await world()
    expect(await w.add('one', { throttle })).toEqual({ id: '1', repeated: false })
    await w.s.powerCut()
    await w.s.start()
    await w.s.advance(50_000)
    expect(await w.add('two', { throttle })).toEqual({ id: '1', repeated: true })
    await w.s.advance(11_000)
    expect(w.started).toEqual(['one'])
    expect(await w.add('three', { throttle })).toEqual({ id: '2', repeated: false })
    await w.s.settle()
    expect(w.started).toEqual(['one', 'three'])
  })

  test('of the last add has one more job when its time is over, which begins the next window', async () => {
    const w = await world()
    const last = { throttle: { ...throttle, keep: 'last' } } as const
    const answers = []
    for (const version of ['one', 'two', 'three']) answers.push(await w.add(version, last))
    expect(answers).toEqual([
      { id: '1', repeated: false },
      { id: '2', repeated: false },
      { id: '2', repeated: true, replaced: true },
    ])
    await w.s.advance(59_000)
    expect(w.started).toEqual(['one'])
    await w.s.advance(2_000)
    expect(w.started).toEqual(['one', 'three'])
    expect(await w.result('2')).toBe('done three')
    await w.add('four', last)
    await w.s.advance(57_000)
    expect(w.started).toEqual(['one', 'three'])
    await w.s.advance(2_000)
    expect(w.started).toEqual(['one', 'three', 'four'])
  })
})

test('a job without a window has no row of one', async () => {
  const w = await world()
  await w.add('one', { delay: '1h' })
  const { entries } = w.s.app.entity('$queue-index').rows('queue').range({ values: false })
  expect(entries.map(([row]) => row.slice(0, 2))).toEqual(['d/', 'i/'])
})

test('a window is complete, and stands alone', async () => {
  const w = await world()
  const debounce = { key: 'a', ms: 10 }
  const refused = [
    ...[{ debounce: { key: 'a' } }, { debounce: { ms: 5 } }, { debounce: { key: '', ms: 5 } }],
    ...[{ debounce: { key: 'a', ms: 0 } }, { throttle: { key: 'a', ms: 5, maxMs: 6 } }],
    ...[{ throttle: { key: 'a', ms: 5, keep: 'both' } }, { debounce: 5 }],
    ...[
      { debounce, unique: 'u' },
      { debounce, delay: 5 },
      { debounce, throttle: debounce },
    ],
  ]
  for (const options of refused)
    expect([options, await codeOf(w.add('x', options as JobOptions))]).toEqual([
      options,
      'INVALID_ARGUMENT',
    ])
})
