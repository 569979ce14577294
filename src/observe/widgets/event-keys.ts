/** The keys of events in a list. Pure. */
import type { Recorded } from '../words.ts'

/**
 * A key for each event, which it keeps while others come and go: a row with another key is another row,
 * so its text is folded and loses the focus. One that stands for several has the time and the numbers
 * of the last of them, so these are no part of its key.
 */
export const eventKeys = (events: readonly Recorded[]): readonly string[] => {
  const counts = new Map<string, number>()
  return events.map(({ sort, kind, code, subject, at, text, times }) => {
    const repeated = sort === 'log' ? text.replace(/\d+/g, '0') : ''
    const own = times === undefined ? `${at} ${text}` : repeated
    const key = [sort, kind, code, subject, own].join('\n')
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    return `${key}\n${count}`
  })
}
