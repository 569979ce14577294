/** How bad a state is stands in one table, which agrees with the severities of troubles. */
import { expect, test } from 'vitest'
import { type TroubleKind, troubleKinds } from '../../../src/inspect/answers/trouble-kinds.ts'
import { colourPaint } from '../../../src/inspect/text/paint.ts'
import { stateText } from '../../../src/inspect/views/state-view.ts'
import {
  jobWaitTexts,
  nextTexts,
  originText,
  runNames,
  stateTones,
  toneOf,
} from '../../../src/observe/index.ts'
import { sourceFiles } from '../../support/source-files.ts'

const parts = Object.keys(stateTones) as (keyof typeof stateTones)[]

/** The states that are kinds of trouble: `shard down`, `replica waiting`. */
const troubles = parts.flatMap((part) =>
  Object.keys(stateTones[part]).flatMap((state) => {
    const kind = `${part} ${state}`
    return Object.hasOwn(troubleKinds, kind) ? [[kind as TroubleKind, part, state] as const] : []
  }),
)

test('a state that is a kind of trouble is as bad as that is severe', () => {
  expect(troubles.length).toBeGreaterThan(10)
  const other = troubles.filter(([kind, part, state]) => {
    const { severity } = troubleKinds[kind]
    return toneOf(part, state) !== (severity === 'critical' ? 'bad' : 'warn')
  })
  // A run that failed has ended so: nothing of it goes on, and its trouble may wait.
  expect(other.map(([kind]) => kind)).toEqual(['run failed'])
})

test('the prompt takes its colours from it, and leaves an ordinary state as it is', () => {
  expect(stateText('shard', 'down', colourPaint)).toBe(colourPaint('bad', 'down'))
  expect(stateText('projection', 'degraded', colourPaint)).toBe(colourPaint('odd', 'degraded'))
  expect(stateText('run', 'completed', colourPaint)).toBe(colourPaint('good', 'completed'))
  for (const state of ['running', 'constructor'])
    expect(stateText('run', state, colourPaint)).toBe(state)
})

test('a state of an entity, a queue, a schedule or a shard is as bad as its trouble is severe', () => {
  const states = [
    ['entity', 'blocked', 'blocked'],
    ['queue', 'full', 'queue full'],
    ['queue', 'overdue', 'overdue jobs'],
    ['schedule', 'broken', 'schedule broken'],
    ['shard', 'refuses writes', 'refuses writes'],
    ['shard', 'suspended', 'projection suspended'],
  ] as const
  for (const [part, state, kind] of states)
    expect(toneOf(part, state), kind).toBe(
      troubleKinds[kind].severity === 'critical' ? 'bad' : 'warn',
    )
})

test('no view spells the tone of a state, or the name of a fact of a run or a job, beside the tables', () => {
  const views = ['src/inspect/views', 'src/observe/views'].flatMap(sourceFiles)
  const states = parts.flatMap((part) => Object.keys(stateTones[part])).join('|')
  const tone = new RegExp(`<Badge tone="\\w+">(?:${states})<|paint\\('\\w+', \\W(?:${states})\\W`)
  expect(views.filter(({ text }) => tone.test(text)).map(({ path }) => path)).toEqual([])
  const names = [runNames.startedAt, runNames.attempt, runNames.waitsFor].join('|')
  const name = new RegExp(`(?:title: |\\[)'(?:${names})'`)
  const ofFlows = views.filter(({ path }) => /flow|job|queue/.test(path))
  expect(ofFlows.length).toBeGreaterThan(4)
  expect(ofFlows.filter(({ text }) => name.test(text)).map(({ path }) => path)).toEqual([])
})

test('no view words what something waits for, its room, or its next try beside the words of the facts', () => {
  const views = ['src/inspect/views', 'src/inspect/prompt', 'src/observe/views'].flatMap(
    sourceFiles,
  )
  const texts = [...Object.values(jobWaitTexts), ...Object.values(nextTexts)]
  const words = [
    ...[...texts, originText(true), originText(false)].map((text) => `'${text}'`),
    ...['bounded by', 'place ${', 'ahead of', 'failing since'],
  ]
  const own = views.flatMap(({ path, text }) =>
    words.filter((word) => text.includes(word)).map((word) => [path, word]),
  )
  expect(own).toEqual([])
})

test('no view has a table of tones beside it', () => {
  const views = ['src/inspect/views', 'src/observe/views'].flatMap(sourceFiles)
  expect(views.length).toBeGreaterThan(20)
  const own = views.filter(({ text }) => /Tones?: Readonly<|\btones\b.* = \{/i.test(text))
  expect(own.map(({ path }) => path)).toEqual([])
})
