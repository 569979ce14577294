/**
 * The tail of what is recorded, while a page looks at it: at most 50 events of a second, then their
 * number. It begins with the last events that the recorder has. A line of the log about one of the
 * events is left out. A search looks at every event of the recorder, those lines too, so a flood of
 * others does not hide the one that is sought. It is apart from `looks.ts` because it remembers
 * from second to second what was left out.
 */
import type { LogTail as ShownTail } from '../../observe/index.ts'
import type { App } from '../../supervisors/index.ts'
import { withoutRepeats } from '../recorder/folded-events.ts'
import { levelOf, type Recorded, type Records, recordedSorts } from '../recorder/records.ts'
import { optionalText, type Query, wordIn } from './questions.ts'
import { shownLine } from './shown-events.ts'
import { lastFitting } from './value-trees.ts'
import { WhileLooked } from './while-looked.ts'

const linesMax = 100
/** A frame has 64 KiB. */
const bytesMax = 56 * 1024
const perSecondMax = 50
const secondMs = 1_000
/** The part of a text that a list shows, and that a search looks at. */
const soughtMax = 300

/** An event, or how many of its second are left out. */
type Line = Recorded | ShownTail['lines'][number]

/** The tail of one recorder. */
export class LogTail {
  readonly #app: App
  readonly #records: Records
  readonly #looked: WhileLooked
  #lines: Line[] = []
  /** The second that is counted: its begin, and its events. */
  #second = { at: Number.NEGATIVE_INFINITY, count: 0 }

  constructor(app: App, records: Records) {
    this.#app = app
    this.#records = records
    this.#looked = new WhileLooked(app.system.clock, () => {
      this.#lines = []
      for (const event of latest(records, linesMax)) this.#add(event)
      return records.listen((event) => this.#add(event))
    })
  }

  /** The last lines that are sought, the newest last. @throws KeelsonError `INVALID_ARGUMENT` */
  look(query: Query): ShownTail {
    this.#looked.look()
    const isSought = soughtBy(query)
    const lines: readonly Line[] = isSought
      ? latest(this.#records, linesMax, isSought)
      : withoutRepeats(this.#lines)
    const shown = lines
      .slice(-linesMax)
      .map((line) => (line.sort === 'flood' ? line : shownLine(this.#app, line as Recorded)))
    return { lines: lastFitting(shown as ShownTail['lines'], bytesMax) }
  }

  /** Ends the listening. */
  end(): void {
    this.#looked.end()
  }

  #add(event: Recorded): void {
    if (event.at - this.#second.at >= secondMs) this.#second = { at: event.at, count: 0 }
    const left = ++this.#second.count - perSecondMax
    if (left <= 0) this.#lines.push(event)
    else {
      if (left > 1) this.#lines.pop()
      this.#lines.push(leftOut(left, event.at))
    }
    if (this.#lines.length > 2 * linesMax) this.#lines.splice(0, linesMax)
  }
}

/** The line in the place of events of one second that are left out. */
const leftOut = (count: number, at: number): ShownTail['lines'][number] => ({
  sort: 'flood',
  at,
  kind: '',
  code: 'none',
  subject: '',
  text: `${count} more in the same second`,
})

/** Whether an event is sought. `undefined`: the question names nothing, so each is. */
const soughtBy = (query: Query): ((event: Recorded) => boolean) | undefined => {
  const level = wordIn(query, 'level', ['error', 'warn'])
  const sort = wordIn(query, 'sort', recordedSorts)
  const find = optionalText(query, 'find')?.toLowerCase()
  if ((level ?? sort ?? find) === undefined) return undefined
  return (event) =>
    (level === undefined || levelOf(event) === level) &&
    (sort === undefined || event.sort === sort) &&
    (find === undefined || searched(event).toLowerCase().includes(find))
}

const searched = ({ subject, pid, text }: Recorded): string =>
  `${subject} ${pid === undefined ? '' : `<${pid}>`} ${text.slice(0, soughtMax)}`

/** The last events of all sorts that are sought, the newest last. */
const latest = (
  records: Records,
  count: number,
  isSought: (event: Recorded) => boolean = () => true,
): readonly Recorded[] =>
  recordedSorts
    .flatMap((sort) => records.last(sort).filter(isSought).slice(-count))
    .sort((left, right) => left.at - right.at)
    .slice(-count)
