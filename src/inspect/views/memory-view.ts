/** The table of `top('memory')`: the processes whose state and mailbox take most. Pure. */
import type { ProcessSummary } from '../../runtime/index.ts'
import { type Paint, plainPaint } from '../text/paint.ts'
import { bytesText, countText } from '../text/quantities.ts'
import { textTable } from '../text/text-table.ts'

/** A process, and about how many bytes it holds. */
export type Held = { readonly process: ProcessSummary; readonly bytes: number }

/** The `rows` largest ones, the largest first. `others` are the largest ones of other pages. */
export const largest = (page: readonly Held[], rows: number, others: readonly Held[]): Held[] =>
  page
    .concat(others)
    .sort((left, right) => right.bytes - left.bytes || left.process.pid - right.process.pid)
    .slice(0, rows)

/** The memory of the whole of Node's process, in bytes. */
export type WholeMemory = Readonly<Record<'rss' | 'heapUsed' | 'external', number>>

const columns = ['pid', 'name', 'kind', 'status', '>queue', '>about']

/** The table of `held`, below the memory of the whole. */
export const memoryTable = (
  held: readonly Held[],
  { rss, heapUsed, external }: WholeMemory,
  paint: Paint = plainPaint,
): string => {
  const rows = held.map(({ process, bytes }) => [
    `<${process.pid}>`,
    process.name ?? process.label ?? '',
    process.kind,
    paint(process.status === 'waiting' ? 'good' : 'odd', process.status),
    countText(process.mailbox),
    bytesText(bytes),
  ])
  const whole = `heap ${bytesText(heapUsed)}, buffers ${bytesText(external)}, resident ${bytesText(rss)}`
  return `states and waiting messages, of a process with ${whole}\n${textTable(columns, rows)}`
}
