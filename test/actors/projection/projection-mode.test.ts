/** The table of the projection's modes: every mode with every event, and the drawing in the docs. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createMachine } from 'xstate'
import type { ProjectionMode } from '../../../src/actors/core/storage-events.ts'
import {
  modeAfter,
  type ProjectionEvent,
  projectionModes,
} from '../../../src/actors/projection/projection-mode.ts'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'

const modes = Object.keys(projectionModes) as ProjectionMode[]

/** The mode after each event, beside the mode before it. A dot: it stays. */
const expected = `
             restarted  beganEmpty  fellBehind  caughtUp   suspended  resumed  failed    healed   gaveUp
starting     .          rebuilding  tailing     following  .          .        .         .        halted
rebuilding   starting   .           .           following  suspended  .        degraded  .        halted
tailing      starting   rebuilding  .           following  suspended  .        degraded  .        halted
following    starting   .           tailing     .          suspended  .        degraded  .        halted
suspended    starting   .           .           .          .          tailing  .         .        halted
degraded     starting   .           .           .          suspended  .        .         tailing  halted
halted       starting   .           .           .          .          .        .         .        .
`

const [head = [], ...rows] = expected
  .trim()
  .split('\n')
  .map((line) => line.trim().split(/\s+/))
const events = head as ProjectionEvent[]
const cells = rows.flatMap(([mode, ...after]) =>
  events.map((event, at) => {
    const to = after[at] === '.' ? mode : after[at]
    return [mode as ProjectionMode, event, to as ProjectionMode] as const
  }),
)

describe('the modes of lmdb_writer', () => {
  test.each(cells)('%s: after %s it is %s', (mode, event, to) => {
    expect(modeAfter(mode, event)).toBe(to)
  })

  test('are all in that table, and so is each event that a mode names', () => {
    expect(rows.map(([mode]) => mode)).toEqual(modes)
    const named = Object.values(projectionModes).flatMap(({ on }) => Object.keys(on))
    expect([...new Set(named)].sort()).toEqual([...events].sort())
  })

  test('all lead to `following` again', () => {
    const leads = new Set<ProjectionMode>(['following'])
    for (const _ of modes) for (const [mode, , to] of cells) if (leads.has(to)) leads.add(mode)
    expect([...leads].sort()).toEqual([...modes].sort())
  })

  test('take no changes before the writer knows where it is, while it is held, and without it', () => {
    const still = modes.filter((mode) => !projectionModes[mode].takes)
    expect(still).toEqual(['starting', 'suspended', 'halted'])
  })

  test('refuse callers when a wait has no known end: degraded and halted', () => {
    const refusing = modes.filter((mode) => !projectionModes[mode].answers)
    expect(refusing).toEqual(['degraded', 'halted'])
  })

  test('are drawn in the docs from the table', () => {
    const states = Object.fromEntries(modes.map((mode) => [mode, { on: projectionModes[mode].on }]))
    const drawing = StateMachine.mermaid(createMachine({ initial: 'starting', states }))
    expect(readFileSync('docs/projections-reference.md', 'utf8')).toContain(
      `\`\`\`mermaid\n${drawing}\`\`\``,
    )
  })
})
