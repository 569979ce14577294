/** Findings of a rehearsal, as they grow. */
import { expect, test } from 'vitest'
import { Findings, type Found } from '../../../src/flow/rehearsal/findings.ts'

const found = (id: string, more: Partial<Found> = {}): Found => ({
  ...{ level: 'notes', what: 'acts outside of ctx', kind: 'program', id },
  ...{ reason: `${id} was refused`, fix: 'do it in a step', ...more },
})

test('equal verdicts count, and are one example', () => {
  const findings = new Findings()
  for (let times = 0; times < 12; times++) findings.add(found('fs.writeFile'))
  findings.add(found('net.connect'))
  expect(findings.list).toMatchObject([
    { count: 13, examples: [{ id: 'fs.writeFile' }, { id: 'net.connect' }] },
  ])
})

test('the worst are first, with ten examples at most, whatever the order of the verdicts', () => {
  const all = [
    ...Array.from({ length: 15 }, (_, at) => found(`run-${at}`, { level: 'acts', what: 'ends' })),
    found('run-3', { level: 'blocks', what: 'DIVERGED' }),
    found('fs.writeFile'),
  ]
  const listOf = (verdicts: readonly Found[]) => {
    const findings = new Findings()
    for (const each of verdicts) findings.add(each)
    return findings.list
  }
  const list = listOf(all)
  expect(list.map(({ level, count, examples }) => [level, count, examples.length])).toEqual([
    ...[
      ['blocks', 1, 1],
      ['acts', 15, 10],
      ['notes', 1, 1],
    ],
  ])
  expect(listOf(all.toReversed())).toEqual(list)
})
