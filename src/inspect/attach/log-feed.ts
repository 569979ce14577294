/**
 * The log for one attached prompt: its lines as they come, at most 50 a second. The number of the
 * other ones follows, so that a flood stays readable, and a reader that is slow loses lines and
 * costs the instance no memory.
 */
import type { Clock } from '../../clock.ts'
import type { Recorded, Records } from '../recorder/records.ts'
import { printableLines } from '../text/paint.ts'
import { pluralText } from '../text/quantities.ts'

/** The most lines of the log in a second. One line may have a stack below it. */
export const linesMax = 50

const secondMs = 1_000

/** The reader of a feed. */
export type LogReader = {
  readonly show: (text: string) => void
  /** Whether it has not read what it got. */
  readonly isBehind: () => boolean
}

/** Shows the lines of a log from now on. Returns a function that ends this. */
export const feedLog = (records: Records, clock: Clock, reader: LogReader): (() => void) => {
  let shown = 0
  let missed = 0
  let cancel: (() => void) | undefined
  const wait = (): void => {
    cancel ??= clock.after(secondMs, begin, { holdsProcess: false })
  }
  /** A second is over. */
  const begin = (): void => {
    cancel = undefined
    shown = 0
    if (missed === 0) return
    wait()
    if (reader.isBehind()) return
    reader.show(`… ${pluralText(missed, 'more line')} of the log`)
    missed = 0
  }
  const take = ({ sort, text }: Recorded): void => {
    if (sort !== 'log') return
    wait()
    if (shown === linesMax || reader.isBehind()) missed++
    else {
      shown++
      reader.show(printableLines(text))
    }
  }
  const end = records.listen(take)
  return () => {
    end()
    cancel?.()
  }
}
