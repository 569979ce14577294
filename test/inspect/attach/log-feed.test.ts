/** The log at an attached prompt: every line is seen or counted, and a flood stays readable. */
import { expect, test } from 'vitest'
import { feedLog } from '../../../src/inspect/attach/attached-prompt.ts'
import { type Recorded, Records } from '../../../src/inspect/recorder/records.ts'
import { testSystem } from '../../../src/testing/index.ts'

const line = (text: string, sort: Recorded['sort'] = 'log'): Recorded => ({
  ...{ sort, at: 1, kind: 'warn', code: 'none', subject: '', pid: undefined, text },
})

const feed = () => {
  const { clock } = testSystem()
  const records = new Records()
  const shown: string[] = []
  const reader = { behind: false }
  const end = feedLog(records, clock, {
    show: (text) => shown.push(text),
    isBehind: () => reader.behind,
  })
  const log = (count: number) => {
    for (let at = 1; at <= count; at++) records.add(line(`line ${at}`))
  }
  return { clock, records, shown, reader, end, log }
}

test('50 lines are shown in a second, the other ones are counted, and the next second begins anew', {
  tags: ['O2'],
}, async () => {
  const { clock, shown, log } = feed()
  log(78)
  expect(shown).toHaveLength(50)
  expect(shown.at(-1)).toBe('line 50')
  await clock.advance(1_000)
  expect(shown.slice(50)).toEqual(['… 28 more lines of the log'])
  log(2)
  expect(shown.slice(51)).toEqual(['line 1', 'line 2'])
  await clock.advance(10_000)
  expect(shown).toHaveLength(53)
})

test('a reader that is behind loses lines, and learns how many when it has read', async () => {
  const { clock, shown, reader, log } = feed()
  log(1)
  reader.behind = true
  log(3)
  await clock.advance(5_000)
  expect(shown).toEqual(['line 1'])
  reader.behind = false
  await clock.advance(1_000)
  expect(shown.slice(1)).toEqual(['… 3 more lines of the log'])
})

test('lines of the log are shown, not the other records, and no control character of them', () => {
  const { records, shown } = feed()
  records.add(line('a crash', 'crash'))
  records.add(line('red \u001b[31m\nand\ton'))
  expect(shown).toEqual(['red \\u{1b}[31m\nand\ton'])
})

test('nothing is shown after its end, and no timer is left', async () => {
  const { clock, shown, end, log } = feed()
  log(60)
  end()
  log(1)
  await clock.advance(2_000)
  expect(shown).toHaveLength(50)
})
