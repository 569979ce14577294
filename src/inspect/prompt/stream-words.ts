/**
 * The words about durable streams. Messages are shown under redaction. They are apart from
 * `prompt-words.ts`, which only puts words together.
 */
import { invalidArgument } from '../../errors.ts'
import { noOptions } from '../../own-names.ts'
import { redacted } from '../../redaction.ts'
import { offsetBefore, workerKind } from '../../storage/index.ts'
import { type App, durableActors } from '../../supervisors/index.ts'
import { flowKind } from '../recorder/flow-names.ts'
import { printable } from '../text/paint.ts'
import { bytesText, countText, pluralText } from '../text/quantities.ts'
import { lineText } from '../text/shown-text.ts'
import { factList, textTable } from '../text/text-table.ts'
import { Feed, type View } from '../text/view.ts'
import { view } from './answer-view.ts'
import type { ShownValues } from './shown-values.ts'

type Source = ReturnType<App['streams']['open']> | ReturnType<App['workerStream']>
type Facts = NonNullable<Awaited<ReturnType<Source['head']>>>

/** Which streams to list. */
type Listing = {
  readonly prefix?: string
  readonly after?: string
  readonly limit?: number
  readonly json?: boolean
}

/** The part of a stream to show: `last` messages, or those after an offset. */
type Showing = { readonly from?: string; readonly last?: number; readonly json?: boolean }

const lastAtOnce = 20
const valueWidth = 120

/** `streams()`, `streams('chat/lobby')`, `stream('import/7')`, `stream('chat/lobby', 'events')`, `tail(…, 100)`. */
export const streamWords = (app: App, { reveals }: ShownValues) => ({
  streams: async (...given: unknown[]): Promise<View> => {
    const [of, listing = noOptions] = typeof given[0] === 'string' ? given : [undefined, ...given]
    const { json, ...options } = listing as Listing
    const owner = of === undefined ? noOptions : { of: ownerIn(app, of as string) }
    const found = await app.streams.list({ limit: 100, ...options, ...owner })
    return view(json, { streams: found }, ({ streams }) =>
      streams.length > 0 ? streamTable(streams) : noStreams(of as string | undefined),
    )
  },
  stream: async (...given: unknown[]): Promise<View> => {
    const { source, rest } = sourceIn(app, given)
    const { from, last = lastAtOnce, json } = (rest[0] ?? noOptions) as Showing
    const facts = await source.head()
    if (!facts) throw invalidArgument('stream', 'a stream that has begun', source.name)
    const { messages, next } = await source.page({ from: from ?? offsetBefore(facts, last) })
    const shown = { ...facts, page: messages, next }
    return view(json, shown, (found) => `${factsText(found)}\n\n${linesOf(found.page)}`, reveals)
  },
  tail: async (...given: unknown[]): Promise<Feed> => {
    const { source, rest } = sourceIn(app, given)
    const [count = 100] = rest
    if (typeof count !== 'number' || !(count > 0))
      throw invalidArgument('count', 'a number above 0', count)
    const feed = new Feed(`the next ${pluralText(count, 'message')} of ${printable(source.name)}`)
    follow(source, feed, count, reveals).then(
      (end) => feed.add(end),
      (error: unknown) => feed.add(lineText(error, valueWidth)),
    )
    return feed
  },
})

/** The stream that the first arguments name: by itself, or an actor's, and the arguments after it. */
const sourceIn = (app: App, [first, ...others]: readonly unknown[]) => {
  if (typeof first !== 'string') throw invalidArgument('stream', "'import/7'", first)
  const [name, ...rest] = others
  if (typeof name !== 'string') return { source: app.streams.open(first) as Source, rest: others }
  const [kind, id] = partsOf(ownerIn(app, first))
  const source =
    kind === workerKind ? app.workerStream(id, name) : app.entity(kind).stream(id, name)
  return { source, rest }
}

/** An actor as its kind and its id: `chat/lobby`; of a run its workflow and id name it: `agent/42`. */
const ownerIn = (app: App, named: string): string => {
  const [kind, id] = partsOf(named)
  if (id === '') throw invalidArgument('stream', "'chat/lobby', 'events'", named)
  const { kinds } = app[durableActors].entities
  const ofRun = flowKind('workflow', kind)
  return !kinds.includes(kind) && kinds.includes(ofRun) ? `${ofRun}/${id}` : named
}

const partsOf = (actor: string): readonly [kind: string, id: string] => {
  const [, kind = '', id = ''] = /^([^/]+)\/(.+)$/s.exec(actor) ?? []
  return [kind, id]
}

/** Adds messages as they come. Resolves with the line that ends them. */
const follow = async (
  source: Source,
  feed: Feed,
  count: number,
  reveals: boolean,
): Promise<string> => {
  let left = count
  for await (const { value, offset } of source.read({ from: 'now' })) {
    if (!feed.add(lineOf({ value: reveals ? value : redacted(value), offset }))) return ''
    if (--left === 0) return `${pluralText(count, 'message')}, and no more are shown`
  }
  return 'the stream is closed'
}

const streamColumns = ['stream', '>messages', '>bytes', 'state', 'last append']

const streamTable = (streams: readonly Facts[]): string =>
  textTable(
    streamColumns,
    streams.map(({ name, messages, bytes, isClosed, writtenMs }) => [
      printable(name),
      countText(messages),
      bytesText(bytes),
      isClosed ? 'closed' : 'open',
      new Date(writtenMs).toISOString(),
    ]),
  )

/** A service may have streams of actors alone, and `streams()` does not list these. */
const noStreams = (of: string | undefined): string =>
  of === undefined
    ? "no stream is without an actor; streams('chat/lobby') lists the streams of an actor or a run"
    : `${printable(of)} has no streams`

const factsText = ({ name, messages, bytes, isClosed, madeMs, writtenMs, start, end }: Facts) =>
  factList([
    ['stream', printable(name)],
    ['state', isClosed ? 'closed' : 'open'],
    ['messages', `${countText(messages)}, ${bytesText(bytes)}`],
    ['made', new Date(madeMs).toISOString()],
    ['last append', new Date(writtenMs).toISOString()],
    ['offsets', `${start} to ${end}`],
  ])

type Shown = { readonly value: unknown; readonly offset: string }

const linesOf = (messages: readonly Shown[]): string =>
  messages.length === 0 ? 'no messages' : messages.map(lineOf).join('\n')

/** A message in a line, cut if it is long. */
const lineOf = ({ value, offset }: Shown): string =>
  printable(`${offset}  ${lineText(value, valueWidth)}`)
