/** Progress of long work, as lines and on a terminal. */
import { Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { virtualClock } from '../../../src/clock.ts'
import { processEnvironment } from '../../../src/inspect/command/environment.ts'
import { WorkDisplay } from '../../../src/inspect/command/long-work.ts'

const done = { bytes: 1_000_000, totalBytes: 4_000_000 }

/** A display on a clock that a test moves, and what it has printed. */
const display = (isTTY: boolean, isAsked = true) => {
  const clock = virtualClock()
  const printed: string[] = []
  const write = (text: Buffer, _: string, next: () => void): void => {
    printed.push(String(text))
    next()
  }
  const errors = Object.assign(new Writable({ write }), { isTTY })
  const work = new WorkDisplay({ ...processEnvironment(), clock, errors }, isAsked)
  return { clock, printed, show: (what: string) => work.show({ what, ...done }) }
}

describe('progress', () => {
  test('is a line a second where there is no terminal', async () => {
    const { clock, printed, show } = display(false)
    show('verifying')
    show('verifying')
    await clock.advance(999)
    show('verifying')
    expect(printed).toHaveLength(1)

    await clock.advance(1)
    show('verifying')
    expect(printed).toEqual([
      'verifying  25%, 1.00 MB of 4.00 MB\n',
      'verifying  25%, 1.00 MB of 4.00 MB, 1.00 MB/s, 0:03 left\n',
    ])
  })

  test.each([true, false])('shows a new piece of work at once (terminal: %s)', (isTTY) => {
    const { printed, show } = display(isTTY)
    show('verifying')
    show('salvaging')
    show('salvaging')

    expect(printed.map((line) => /verifying|salvaging/.exec(line)?.[0])).toEqual([
      'verifying',
      'salvaging',
    ])
  })

  test('is not shown without a terminal unless it is asked for', () => {
    const { printed, show } = display(false, false)
    show('verifying')

    expect(printed).toEqual([])
  })
})
